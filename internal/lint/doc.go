// Package lint holds the habits of this repository as tests. It has no code of
// its own; `go test ./internal/lint` reads every file of the module and names
// what breaks a rule, with file and line.
//
//	imports           packages import downwards only, as picture says:
//
//	                  cmd -> graph -> mvcc -> lockmgr -> deadlock
//	                                       -> pagestore -> internal/vfs
//	                                       -> wal       -> internal/vfs
//
//	                  bench and fuzz import what they like; cmd alone imports
//	                  bench and nobody imports fuzz. Only mvcc imports
//	                  mvcc/internal/versions. deadlock needs nothing but the
//	                  standard library.
//	outside-imports   test libraries and package testing only in tests,
//	                  libraries of the command line only in cmd, the profiler
//	                  only in main packages, plots only in bench
//	package-doc       every package says what it is
//	exported-doc      and so does every exported name
//	file-length       at most 800 lines
//	function-length   at most 70 lines, unless all of it is one switch
//	machine-path      no path of somebody's machine
//	unfinished        no mark of unfinished work
//	sleep             tests do not wait by sleeping. Where the clock is virtual,
//	                  in files that use testing/synctest, they may.
//	skip              tests skip for -short, for the operating system, and for
//	                  data that is not there
//	formatted-errors  the engine's errors have types or are wrapped with
//	                  github.com/cockroachdb/errors, which keeps a stack;
//	                  fmt.Errorf does neither. errors.Mark classifies nothing,
//	                  because the errors.Is of the standard library ignores it.
//
// Each rule is tried on code that breaks it and on code that only looks like
// it, so that a rule that finds nothing is known to be able to.
//
// The two rules of length are a ratchet: testdata/tolerated.txt lists offenders
// that are accepted, one "rule path name" a line. A line that is no
// longer needed is a failure too, so the list only gets shorter.
package lint
