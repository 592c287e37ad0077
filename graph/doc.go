// Package graph is an embedded property graph: nodes with labels and
// properties, directed typed edges with properties, indexes, constraints
// and traversals, over package mvcc and nothing below it.
//
//	db, err := graph.Open("social.db", nil)
//	defer db.Close()
//	err = db.CreateIndex(ctx, "Person", "email", true)
//	err = db.Update(ctx, func(tx *graph.Txn) error {
//		ann, err := tx.CreateNode([]string{"Person"}, graph.Props{"email": graph.String("ann@x.org")})
//		if err != nil {
//			return err
//		}
//		bob, err := tx.CreateNode([]string{"Person"}, nil)
//		if err != nil {
//			return err
//		}
//		_, err = tx.CreateEdge(ann, bob, "KNOWS", graph.Props{"since": graph.Int(2019)})
//		return err
//	})
//
// # What it promises
//
// A graph transaction is an mvcc transaction with other words: the isolation
// levels, retries, deadlock reports and durability are mvcc's, and so are its
// errors: errors.Is and errors.As find mvcc's. Conflicts, deadlocks and lock timeouts say which nodes they are about
// by what those are, (:Person {email: "ann@x.org"}), when somebody looks (contention.go, naming.go); so they and
// what prints them hold values of unique properties. The store itself knows keys only
// and calls the same node 7, an edge edge 12 (3)-[:KNOWS]->(9), a unique entry Person(email = "ann@x.org").
//
// Many writers may add edges to one node at once: none of them locks or
// changes a record that they share. What they rely on is checked by the commit
// instead (G2). A transaction that creates an edge and one that deletes an end of
// it never both succeed, at any isolation level.
//
// It does not promise that names of labels, edge types and properties are
// ever forgotten, that ids have no gaps, or that a degree is known without
// counting. Nothing has to be declared: a schema is what indexes and constraints say, and only that.
//
// # Keys
//
// Everything is in one keyspace, "graph". A key is a byte that names its kind,
// then fields. An id is an ordered integer: one byte for values below 248, else a byte
// 247+n and the value in n bytes, big-endian. A value is encoded as below.
// Bytewise order of keys is the order of the fields.
//
//	key                                   value
//	'C' 'v'                               version of this format, ordered integer
//	'C' 's'                               schema epoch, ordered integer
//	'C' 'c' counter                       next free id of a counter, ordered integer
//	'C' 'd' dictionary, name              id of a label, edge type or property name
//	'C' 'i' index                         definition of an index (schema.go)
//	'C' 'f'                               nothing: no constraint is about edges (rule.go)
//	'E' edge                              source, type, destination: the edge's place
//	'I' destination type source edge      nothing
//	'K' kind, import key, external id     element that was imported under that id
//	'L' label node                        nothing
//	'M' constraint                        definition of a constraint (rule.go)
//	'N' node                              labels and properties
//	'O' source type destination edge      the edge's properties
//	'U' index value                       node: entry of a unique index
//	'X' index value node                  nothing: entry of an index
//
// An index on several properties is one on the list of their values: in bytewise order the first one counts most, and what begins
// with the same values stands together. The out record 'O' is the edge; 'E' and 'I' lead to it. Free for later use are the
// letters 'D' (statistics), 'F' (text), 'P' (adjacency segments), 'V' (vectors).
//
// A graph has format 1 until its first constraint or index on several properties, and format 2 from then on, in which releases
// that would not keep these do not open it (db.go).
//
// # Values
//
// In index keys a value is a tag and a payload that ends itself, so that
// several may follow each other; the order of encodings is the order of
// Compare (tuple.go):
//
//	0x05 null   0x10 false   0x11 true   0x20 NaN
//	0x21 number: as ordered float64, 8 bytes; from 2^53 to 2^63 in magnitude followed
//	     by 2 bytes that an integer lies above that float
//	0x30 string, 0x38 bytes: content with 0x00 written as 0x00 0xFF, then 0x00 0x01
//	0x40 date (days), 0x41 moment (microseconds), 0x42 duration (nanoseconds): ordered int64, 8 bytes
//	0x50 list: elements, then 0x01   0x58 map: for each entry 0x02, name as a string, value; then 0x01
//
// Integers and floats that are equal have one encoding; the record keeps the
// kind. In records (record.go) a value is a kind and a compact payload:
//
//	1 false   2 true   3 integer, zigzag varint   4 float64, 8 bytes little-endian
//	5 string, 6 bytes: length as uvarint, content
//	7 date, 8 moment, 9 duration: zigzag varint
//	16 list, 17 map: length as uvarint, then a count and elements, with names in front in a map (valuelist.go)
//	18 null, in lists and maps only
//
//	properties = count, then (name id, value) by ascending name id
//	node       = count of labels, label ids ascending, properties
//	edge       = properties, or nothing
//
// # Invariants
//
// Check verifies G1 to G7 and G9; tests cite all of them by number. Mend makes them hold again after a repair of the store (mend.go).
//
//	G1  A node exists if and only if its 'N' record does. Ids are never used twice.
//	G2  Both ends of every edge exist. CreateEdge requires the two node records
//	    to exist when it commits; deleting a node requires that its 'O' and 'I' ranges are as seen.
//	G3  'O', 'I' and 'E' entries of an edge exist together and agree.
//	G4  'L' has exactly the entries that node records call for.
//	G5  A ready index has exactly the entries that node records call for; a unique one
//	    has one node per value. Null is not indexed: a node stands in an index on several properties when it has all of them.
//	G6  Names have ids 1..n per dictionary, no two names the same, and never change.
//	G7  No id in use is at or above its counter.
//	G8  What a transaction is told about a name it has read in the store, in its snapshot, also when the name has no id: then it
//	    reads under the ids that no name has (nameset.go), or looks the name up after it has read what would use it.
//	G9  Every node and every edge is as each constraint that is in force says. What concerns one element is checked
//	    when it is written, under its lock or in the write that creates it. Labels of an edge's ends are kept as G2 is:
//	    CreateEdge requires the 'L' entries of its ends to exist when it commits; taking a label from a node requires that
//	    its 'O' or 'I' range of that type is as seen, and there empty.
//
// # Schema changes beside writers
//
// A transaction that writes nodes reads the schema epoch and requires it to be unchanged
// when it commits. One that writes edges does so, too, or requires that no constraint is about edges. CreateIndex first commits the definition, which moves the epoch: from
// then on every commit maintains the index, or fails and is retried. Then it adds the nodes
// that are already there, in small transactions; such an entry and a concurrent
// change of the same node write the same key, so one of them is retried and sees the other. At last it
// commits the index as ready, and only then Find uses it. DropIndex goes the other way:
// first nobody uses the index, then its entries go, then its definition. An index
// that a crash left between is removed by the next Open.
//
// CreateConstraint commits the definition as well: from then on every commit obeys the constraint, or fails and is retried. Then it reads
// what is there, in many snapshots of later moments: an element that such a snapshot lacks is written by one that obeys. At last it
// commits the constraint as in force. DropConstraint deletes the definition. A constraint whose verification a crash has
// ended is removed by the next Open.
//
// # Rules of a service
//
// Hooks in the options are asked about every write of a node or an edge after constraints have allowed it (hooks.go). They are no part of
// the graph: nothing of them is stored, and no invariant speaks of them.
//
// # Loads
//
// Load makes a new graph as a whole or not at all, in a fraction of the time. It makes the same entries as transactions,
// sorts them, and has mvcc.DB.Load write them straight into pages (load.go). What must be unique is remembered meanwhile, first in
// memory, then in a transaction that never commits, on the keyspace "graph claims", which stays empty (loadclaims.go).
//
// # Copies of adjacency lists
//
// Traversals, Neighbors and Degree run over copies of the edges of nodes, decoded into arrays, which all transactions share (adjcache.go).
// Stamps of the store tell whether a copy is what a transaction would read (mvcc/stamp.go), so it changes nothing but speed. Adjacency
// has its readings. Properties are read in the store only, and by who asks for them.
//
// # Locks
//
// The package's own mutexes (dictionaries, counters, schema cache, adjacency cache) protect memory
// only; none is held while another is taken or while the store is called. A counter's
// refill token is held during one small transaction that takes locks on nothing but the counter.
package graph
