// Package csvdump writes a graph into CSV files, in the form that package csvload reads: one file of nodes and one of edges.
//
//	result, err := csvdump.Run(ctx, db, csvdump.Config{Nodes: nodes, Edges: edges}) // two io.Writers
//
// # Files
//
// Columns of nodes are ~id, ~label and the properties; of edges ~id, ~from, ~to, ~label and the properties. Ids are those of the graph. A
// column of a property is name:type, with a colon in the name written as \:. A property whose values are of several kinds has a column for each,
// and an element has a cell in one of them:
//
//	string               text
//	long, double, bool   integer, float, true or false
//	date, datetime       2006-01-02; a moment in UTC as in RFC 3339
//	duration             as in Go: 1h30m0s
//	long[], string[] ... list of values of one kind, separated by ';', with a backslash before ';' and '\' of their own
//	bytes                0x and hexadecimal digits
//	json                 what no other column can hold: maps, lists of several kinds, empty lists and strings, text with carriage returns
//
// # What it promises
//
//	D1  Both files are of one moment.
//	D2  csvload makes of them a graph with the same labels, types, properties and edges, whose external ids are the old ids. Result.Changed counts the
//	    values for which that is not so: dates, moments, durations and bytes in a map become strings, as JSON has nothing else, numbers
//	    that are none or infinite too, and so do lists of several kinds; strings that are not UTF-8 become bytes.
//	D3  A name that CSV headers cannot hold is a *NameError, before anything of the file is written.
//	D4  Memory is bounded by the number of columns and the largest element. Rows longer than 16 MiB are refused by csvload.
//
// The graph is read twice, first for its columns. Writers go on meanwhile. Indexes and constraints are not in the files.
package csvdump
