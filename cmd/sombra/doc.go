// Command sombra works with Sombra property graph databases: it imports,
// inspects, queries, checks and measures them.
//
//	sombra demo [DIR]                                  build and show a social graph
//	sombra import DB --nodes FILE --edges FILE         load CSV files with concurrent writers
//	sombra export DB --nodes FILE --edges FILE         write CSV files
//	sombra info DB                                     what the database is and how it is
//	sombra check DB                                    verify everything in it
//	sombra compact DB                                  make the data file as small as it can be
//	sombra backup DB FILE                              copy a database into one file
//	sombra restore FILE DB                             make a new database of a backup
//	sombra repair SRC DST                              save what is intact in a damaged database
//	sombra get DB NODE | sombra get DB --edge EDGE     one element
//	sombra neighbors DB NODE                           edges and nodes around a node
//	sombra path DB FROM TO                             a shortest path
//	sombra bench WORKLOAD                              measure the engine
//
// 'sombra COMMAND --help' describes flags. Every command that prints a result
// prints it as JSON with --json.
//
// # Nodes on the command line
//
// A NODE is a number (the node's id), Label.property=value, or ~ID (the id that the
// node had in the files it was imported from, with --key for the name of the import).
// Label.property=value uses the index on that property when there is one, and
// reads all nodes of the label otherwise. A value is taken as a number or a bool
// if it looks like one, and as a string too; in double quotes it is a string only.
//
// # Exit codes
//
//	0  fine
//	1  failed
//	2  wrong use: unknown command or flag, bad argument
//	3  corruption found
//
// # What it does not do
//
// The command has flags, progress and output, and no logic of its own: the
// import is package csvload, workloads and demo are package bench, all else is package graph. Commands
// that only read open the database read-only and never create one.
package main
