//go:build unix && !linux && !race && !invariants

package pagestore

func adviseSlab([]byte) {}
