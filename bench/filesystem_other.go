//go:build !linux && !darwin

package bench

func fileSystem(string) string { return "unknown" }
