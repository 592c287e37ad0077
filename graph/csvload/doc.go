// Package csvload imports nodes and edges from CSV files into a graph, with
// several writers at once, and so that an import that was interrupted can simply be run again.
//
//	result, err := csvload.Run(ctx, db, csvload.Config{
//		Nodes: []string{"people.csv"}, Edges: []string{"knows.csv"}, ImportKey: "crm",
//	})
//
// Run imports into an open database. Import is much faster into one that has no graph yet.
//
// # Files
//
// Comma separated values as in RFC 4180, UTF-8 with or without byte order mark, lines ending in LF or
// CR LF, fields quoted when they contain commas, quotes or line ends. The first row names the columns:
//
//	~id     :ID        id of the node or edge in its source; optional for edges
//	~label  :LABEL     labels of a node, separated by ';', may be empty; also with backslashes, as in lists
//	~label  :TYPE      type of an edge
//	~from   :START_ID  id of the edge's source
//	~to     :END_ID    id of the edge's destination
//	name:type          a property
//	name               a property of type string
//	name:ID            id, which is stored as a string property too
//	:IGNORE            not read
//
// The column on the left is the style of Amazon Neptune, the one beside it that of Neo4j.
// Types, in any case of letters; an empty cell means that the element does not have the property:
//
//	string                   text
//	byte, short, int, long   integer of 8, 16, 32, 64 bits; integer is int
//	float, double            decimal number
//	bool, boolean            true or false
//	date                     2006-01-02; or a moment, if it has a time
//	datetime                 moment: a time as in RFC 3339, without a zone in UTC, or the midnight of a date
//	duration                 as in Go: 1h30m, 2.5s
//	bytes                    0x and hexadecimal digits
//	json                     any JSON; numbers without point and exponent are integers
//	int[], string[], ...     list, its elements separated by ';'; a backslash in front of one makes it part of the element
//
// A property may have several columns of different types, of which one has a cell in each row. Id groups (:ID(Person)) are refused.
// Package csvdump writes such files.
//
// # What it promises
//
//	C1  A row is imported once per import key, however often the import is run: elements are found by
//	    import key and id, those that are there already are counted and left as they are. Edges without id go by the base
//	    name of their file and their row; so such a file must keep its rows.
//	C2  A batch is one transaction: it is there as a whole or not at all, also after a crash.
//	C3  A bad row is reported with file, row, column, value and what was expected. It ends the import after
//	    the batches under way, or with SkipBad is left out; the batches already written stay.
//	C4  Edges are imported after all nodes. An end that was not imported under
//	    the same key is a bad cell.
//	C5  Memory is bounded by writers, batch size and the longest row (16 MiB), beside the database's budget.
//	C6  Into a database without a graph Import stores everything at the end, or nothing if it ends early, by a bad row, ctx or
//	    a crash: C2 and the last words of C3 do not apply, a Result of an error has created nothing, and a
//	    rerun begins anew. What progress counts until then is not stored yet. Counts, bad rows and content are those of Run.
//
// A row that repeats an id counts as already there; its properties are not merged.
//
// # Concurrency
//
// One goroutine parses and converts cells, Config.Writers goroutines write batches; a bulk load has one of each. All end
// before Run or Import returns. The mutex on the result is held while Progress is called and over nothing else.
package csvload
