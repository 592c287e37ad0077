// Package invariants holds checks that are too dear, or too harsh, for
// production. They are compiled in with the build tag invariants and under the
// race detector, and cost nothing otherwise: Enabled is a constant, so the
// compiler removes what stands behind it.
//
// A failed check panics. It is for what only a mistake in the engine can cause;
// wrong input and bytes from a disk are answered with errors in every build.
//
// Work that only serves a check stands in a condition of its own:
//
//	if invariants.Enabled {
//		invariants.Assert(sorted(keys), "keys of page %d are not sorted", id)
//	}
package invariants
