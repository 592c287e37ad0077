package mvcc

import "testing"

// anomaly is one of the literature, as the schedules in which it would be seen.
// The names are those of Adya, Weak Consistency (1999); Berenson et al., A Critique of ANSI SQL Isolation
// Levels (1995), for A5A, A5B, P4 and P4C; Bailis et al., Highly Available Transactions (2013), for OTV;
// the schedules of PMP and OTV are after Kleppmann's Hermitage.
type anomaly struct {
	name    string
	stories []story
}

// anomalies are the rows of the matrix.
var anomalies = []*anomaly{
	&dirtyWrite, &abortedRead, &intermediateRead, &circularInformationFlow, &observedTransactionVanishes,
	&predicateManyPreceders, &predicateManyPrecedersOfAWrite, &predicateManyPrecedersOfALockingWrite,
	&lostUpdate, &cursorLostUpdate, &lostUpdateUnderALock, &readSkew, &singleAntiDependency,
	&writeSkew, &writeSkewUnderLocks, &itemAntiDependencies, &predicateAntiDependencies, &phantomInAnEmptyRange,
	&readOnlyAnomaly,
}

var dirtyWrite = anomaly{"G0 dirty write", []story{
	{name: "one after the other", steps: `
		T1 put x 1
		T2 put x 2
		T1 put y 1
		T1 commit
		T2 put y 2
		T2 commit
		finally -> x=1 y=2 | x=2 y=1`},
	{name: "in a circle", steps: `
		T1 put x 1
		T2 put y 2
		T1 put y 1
		T2 put x 2
		T1 commit
		T2 commit
		finally -> x=1 y=2 | x=2 y=1`},
	{name: "a delete", steps: `
		T1 delete x
		T2 put x 2
		T1 put y 1
		T1 commit
		T2 delete y
		T2 commit
		finally -> x=2 y=1 | nothing`},
	{name: "over a write that a savepoint took back", steps: `
		T1 mark
		T1 put x 1
		T1 undo
		T2 put x 2
		T1 put x 1
		T1 put y 1
		T1 commit
		T2 put y 2
		T2 commit
		finally -> x=1 y=2 | x=2 y=1`},
}}

func TestG0DirtyWrite(t *testing.T) { testAnomaly(t, &dirtyWrite) }

var abortedRead = anomaly{"G1a aborted read", []story{
	{name: "a key", steps: `
		T1 put x 1
		T2 get x -> 1
		T1 rollback
		T2 get x
		T2 commit`},
	{name: "after the rollback", steps: `
		T1 put x 1
		T1 rollback
		T2 get x -> 1
		T2 commit`},
	{name: "a range", steps: `
		T1 put z1 1
		T1 delete x
		T2 scan z -> z1=1
		T1 rollback
		T2 commit`},
	{name: "a deletion", steps: `
		T1 delete x
		T2 has x -> -
		T1 rollback
		T2 commit`},
	{name: "what a savepoint took back", steps: `
		T1 mark
		T1 put x 1
		T1 undo
		T1 put y 1
		T1 commit
		T2 get x -> 1
		T2 commit`},
	{name: "under a lock", steps: `
		T1 put x 1
		T2 lock x -> 1
		T1 rollback
		T2 commit`},
}}

func TestG1aAbortedRead(t *testing.T) { testAnomaly(t, &abortedRead) }

var intermediateRead = anomaly{"G1b intermediate read", []story{
	{name: "between the two writes", steps: `
		T1 put x 1
		T2 get x -> 1
		T1 put x 2
		T1 commit
		T2 commit`},
	{name: "after the commit", steps: `
		T1 put x 1
		T2 get x
		T1 put x 2
		T1 commit
		T2 get x -> 1
		T2 commit`},
	{name: "a key that came and went", steps: `
		T1 put z1 1
		T2 scan z -> z1=1
		T1 delete z1
		T1 commit
		T2 commit`},
	{name: "under a lock", steps: `
		T1 put x 1
		T2 share x -> 1
		T1 put x 2
		T1 commit
		T2 commit`},
}}

func TestG1bIntermediateRead(t *testing.T) { testAnomaly(t, &intermediateRead) }

var circularInformationFlow = anomaly{"G1c circular information flow", []story{
	{name: "two read each other's writes", steps: `
		T1 put x 1
		T2 put y 2
		T1 get y -> 2
		T2 get x -> 1
		T1 commit
		T2 commit`},
	{name: "in ranges", setup: "y=0", steps: `
		T1 put x 1
		T2 put z1 2
		T1 scan z -> z1=2
		T2 scan x -> x=1
		T1 commit
		T2 commit`},
	{name: "through a third", setup: "x=0 y=0 z=0", steps: `
		T1 put x 1
		T2 get x -> 1
		T2 put y 2
		T3 get y -> 2
		T3 put z 3
		T1 get z -> 3
		T1 commit
		T2 commit
		T3 commit`},
}}

func TestG1cCircularInformationFlow(t *testing.T) { testAnomaly(t, &circularInformationFlow) }

// T3 sees of T2 one write and not the other.
var observedTransactionVanishes = anomaly{"OTV observed transaction vanishes", []story{
	{name: "T2 waits for T1", steps: `
		T1 put x 1
		T1 put y 1
		T2 put x 2
		T1 commit
		T3 get x
		T2 put y 2
		T3 get y
		T2 commit
		T3 get y -> 2
		T3 get x -> 0 | 1
		T3 commit`},
	{name: "T2 follows T1", steps: `
		T1 put x 1
		T1 put y 1
		T1 commit
		T3 get x
		T2 put x 2
		T2 put y 2
		T2 commit
		T3 get y -> 2
		T3 get x -> 0 | 1
		T3 commit`},
	{name: "in one scan", setup: "z1=0 z2=0", steps: `
		T1 put z1 1
		T1 put z2 1
		T2 put z2 2
		T1 commit
		T3 scan z
		T2 put z1 2
		T2 commit
		T3 scan z -> z1=2 z2=1 | z1=1 z2=2 | z1=0 z2=2 | z1=2 z2=0
		T3 commit`},
}}

func TestOTVObservedTransactionVanishes(t *testing.T) { testAnomaly(t, &observedTransactionVanishes) }

var predicateManyPreceders = anomaly{"PMP predicate-many-preceders, read", []story{
	{name: "an insert", by: "T1", from: Snapshot, steps: `
		T1 scan z -> nothing
		T2 put z1 1
		T2 commit
		T1 scan z -> z1=1
		T1 commit`},
	{name: "a deletion", setup: "z1=1 z2=2", by: "T1", from: Snapshot, steps: `
		T1 back z -> z2=2 z1=1
		T2 delete z1
		T2 commit
		T1 back z -> z2=2
		T1 commit`},
	{name: "an update", setup: "z1=1 z2=2", by: "T1", from: Snapshot, steps: `
		T1 scan z -> z1=1 z2=2
		T2 put z1 3
		T2 commit
		T1 first z -> z1=3
		T1 commit`},
}}

func TestPMPPredicateManyPreceders(t *testing.T) { testAnomaly(t, &predicateManyPreceders) }

// T1 adds 10 to everything, T2 deletes what has the value 20. The anomaly is that T2 deletes what has 30.
var predicateManyPrecedersOfAWrite = anomaly{"PMP, delete by predicate", []story{
	{name: "the delete meets the writer", setup: "z1=10 z2=20", by: "T2", from: Snapshot, refused: true, steps: `
		T1 put z1 20
		T1 put z2 30
		T2 scan z -> z1=10 z2=20
		T2 delete z2
		T1 commit
		T2 commit
		finally -> z1=20`},
	{name: "the delete comes later", setup: "z1=10 z2=20", by: "T2", from: Snapshot, steps: `
		T2 scan z -> z1=10 z2=20
		T1 put z1 20
		T1 put z2 30
		T1 commit
		T2 delete z2
		T2 commit
		finally -> z1=20`},
	{name: "looking again", setup: "z1=20", by: "T2", from: Snapshot, steps: `
		T2 scan z -> z1=20
		T2 delete z1
		T1 put z2 20
		T1 commit
		T2 scan z -> z2=20
		T2 commit`},
}}

func TestPMPDeleteByPredicate(t *testing.T) { testAnomaly(t, &predicateManyPrecedersOfAWrite) }

var predicateManyPrecedersOfALockingWrite = anomaly{"PMP, delete by `ScanForUpdate`", []story{
	{name: "the delete meets the writer", setup: "z1=10 z2=20", steps: `
		T1 put z1 20
		T1 put z2 30
		T2 purge z 20
		T1 commit
		T2 commit
		finally -> z1=20`},
	{name: "the delete has looked before", setup: "z1=10 z2=20", steps: `
		T2 scan z -> z1=10 z2=20
		T1 put z1 20
		T1 put z2 30
		T2 purge z 20
		T1 commit
		T2 commit
		finally -> z1=20`},
}}

func TestPMPDeleteByScanForUpdate(t *testing.T) {
	testAnomaly(t, &predicateManyPrecedersOfALockingWrite)
}

var lostUpdate = anomaly{"P4 lost update", []story{
	{name: "the second comes later", by: "T2", from: Snapshot, steps: `
		T1 get x -> 0
		T2 get x -> 0
		T1 put x 1
		T1 commit
		T2 put x 2
		T2 commit
		finally -> x=2 y=0`},
	{name: "the second meets the first", by: "T2", from: Snapshot, refused: true, steps: `
		T1 get x -> 0
		T2 get x -> 0
		T1 put x 1
		T2 put x 2
		T1 commit
		T2 commit
		finally -> x=2 y=0`},
	{name: "an equal value", by: "T2", from: Snapshot, steps: `
		T1 get x -> 0
		T2 get x -> 0
		T1 put x 0
		T1 commit
		T2 put x 0
		T2 commit`},
	{name: "a deletion", by: "T2", from: Snapshot, steps: `
		T1 get x -> 0
		T2 get x -> 0
		T1 delete x
		T1 commit
		T2 put x 2
		T2 commit
		finally -> x=2 y=0`},
	{name: "an absent key", by: "T2", from: Snapshot, refused: true, steps: `
		T1 has z -> -
		T2 has z -> -
		T1 put z 1
		T2 put z 2
		T1 commit
		T2 commit
		finally -> x=0 y=0 z=2`},
}}

func TestP4LostUpdate(t *testing.T) { testAnomaly(t, &lostUpdate) }

// A cursor holds no lock, so it protects what it stands on no more than a read does.
var cursorLostUpdate = anomaly{"P4C cursor lost update", []story{
	{name: "the second comes later", by: "T2", from: Snapshot, steps: `
		T2 seek x -> 0
		T1 put x 1
		T1 commit
		T2 put x 2
		T2 commit
		finally -> x=2 y=0`},
	{name: "the second meets the first", by: "T2", from: Snapshot, refused: true, steps: `
		T1 seek x -> 0
		T2 seek x -> 0
		T1 put x 1
		T2 put x 2
		T1 commit
		T2 commit
		finally -> x=2 y=0`},
}}

func TestP4CCursorLostUpdate(t *testing.T) { testAnomaly(t, &cursorLostUpdate) }

var lostUpdateUnderALock = anomaly{"P4, read with `GetForUpdate`", []story{
	{name: "both lock", steps: `
		T1 lock x -> 0
		T2 lock x -> 0
		T1 put x 1
		T1 commit
		T2 put x 2
		T2 commit`},
	{name: "one locks", steps: `
		T2 lock x -> 0
		T1 put x 1
		T2 put x 2
		T2 commit
		T1 commit
		finally -> x=2 y=0`},
	{name: "both share", steps: `
		T1 share x -> 0
		T2 share x -> 0
		T1 put x 1
		T2 put x 2
		T1 commit
		T2 commit
		finally -> x=2 y=0 | x=1 y=0`},
}}

func TestP4LostUpdateUnderALock(t *testing.T) { testAnomaly(t, &lostUpdateUnderALock) }

var readSkew = anomaly{"A5A read skew", []story{
	{name: "two keys", by: "T1", from: Snapshot, steps: `
		T1 get x -> 0
		T2 put x 1
		T2 put y 1
		T2 commit
		T1 get y -> 1
		T1 commit`},
	{name: "only reading", by: "T1", from: Snapshot, readOnly: "T1", steps: `
		T1 get x -> 0
		T2 put x 1
		T2 delete y
		T2 commit
		T1 get y -> -
		T1 commit`},
}}

func TestA5AReadSkew(t *testing.T) { testAnomaly(t, &readSkew) }

// T1 does not see a write of T2, and yet comes after it.
var singleAntiDependency = anomaly{"G-single", []story{
	{name: "range, then key", by: "T1", from: Snapshot, steps: `
		T1 scan z -> nothing
		T2 put z1 1
		T2 put x 1
		T2 commit
		T1 get x -> 1
		T1 commit`},
	{name: "key, then write", by: "T1", from: Snapshot, steps: `
		T1 get x -> 0
		T2 put x 1
		T2 put y 1
		T2 commit
		T1 put y 2
		T1 commit
		finally -> x=1 y=2`},
	{name: "range, then deletion", by: "T1", from: Snapshot, steps: `
		T1 scan z -> nothing
		T2 put z1 1
		T2 put y 1
		T2 commit
		T1 delete y
		T1 commit
		finally -> x=0 z1=1`},
	{name: "key, then lock", by: "T1", from: Snapshot, refused: true, steps: `
		T1 get x -> 0
		T2 put x 1
		T2 put y 1
		T1 lock y -> 1
		T2 commit
		T1 commit`},
	{name: "through a third", by: "T1", from: Snapshot, steps: `
		T1 get x -> 0
		T2 put x 1
		T2 commit
		T3 get x -> 1
		T3 put y 3
		T3 commit
		T1 get y -> 3
		T1 commit`},
}}

func TestGSingle(t *testing.T) { testAnomaly(t, &singleAntiDependency) }

var writeSkew = anomaly{"A5B write skew", []story{
	{name: "two keys", by: "T2", from: Serializable, steps: `
		T1 get x -> 0
		T1 get y -> 0
		T2 get x -> 0
		T2 get y -> 0
		T1 put x 1
		T2 put y 1
		T1 commit
		T2 commit
		finally -> x=1 y=1`},
	{name: "the first to write commits last", by: "T1", from: Serializable, steps: `
		T1 get y -> 0
		T1 put x 1
		T2 get x -> 0
		T2 put y 1
		T2 commit
		T1 commit
		finally -> x=1 y=1`},
	{name: "deletions", by: "T2", from: Serializable, steps: `
		T1 has y -> yes
		T2 has x -> yes
		T1 delete x
		T2 delete y
		T1 commit
		T2 commit
		finally -> nothing`},
	{name: "an equal value", by: "T2", from: Serializable, steps: `
		T1 get y -> 0
		T2 get x -> 0
		T1 put x 0
		T2 put y 0
		T1 commit
		T2 commit`},
}}

func TestA5BWriteSkew(t *testing.T) { testAnomaly(t, &writeSkew) }

var writeSkewUnderLocks = anomaly{"A5B, reads with `GetForShare`", []story{
	{name: "shared", steps: `
		T1 share y -> 0
		T2 share x -> 0
		T1 put x 1
		T2 put y 1
		T1 commit
		T2 commit
		finally -> x=1 y=1`},
	{name: "for update", steps: `
		T1 lock y -> 0
		T2 lock x -> 0
		T1 put x 1
		T2 put y 1
		T1 commit
		T2 commit
		finally -> x=1 y=1`},
}}

func TestA5BWriteSkewUnderLocks(t *testing.T) { testAnomaly(t, &writeSkewUnderLocks) }

// Each reads what the next one writes. Whoever commits after one whose write it did not see is the one that must fail.
var itemAntiDependencies = anomaly{"G2-item", []story{
	{name: "three, in the order of the circle", setup: "x=0 y=0 z=0", by: "T2 T3", from: Serializable, steps: `
		T1 get x -> 0
		T2 get y -> 0
		T3 get z -> 0
		T1 put y 1
		T2 put z 1
		T3 put x 1
		T1 commit
		T2 commit
		T3 commit`},
	{name: "three, against it", setup: "x=0 y=0 z=0", by: "T1", from: Serializable, steps: `
		T1 get x -> 0
		T2 get y -> 0
		T3 get z -> 0
		T1 put y 1
		T2 put z 1
		T3 put x 1
		T3 commit
		T2 commit
		T1 commit`},
}}

func TestG2Item(t *testing.T) { testAnomaly(t, &itemAntiDependencies) }

var predicateAntiDependencies = anomaly{"G2 predicate", []story{
	{name: "inserts", setup: "z1=1 z2=2", by: "T2", from: Serializable, steps: `
		T1 scan z -> z1=1 z2=2
		T2 scan z -> z1=1 z2=2
		T1 put z3 3
		T2 put z4 3
		T1 commit
		T2 commit`},
	{name: "deletions, read downwards", setup: "z1=1 z2=2", by: "T2", from: Serializable, steps: `
		T1 back z -> z2=2 z1=1
		T2 back z -> z2=2 z1=1
		T1 delete z1
		T2 delete z2
		T1 commit
		T2 commit
		finally -> nothing`},
	{name: "a range and a key, the range commits last", setup: "x=0 z1=1", by: "T1", from: Serializable, steps: `
		T1 scan z -> z1=1
		T2 get x -> 0
		T1 put x 1
		T2 put z2 2
		T2 commit
		T1 commit`},
	{name: "a range and a key, the key commits last", setup: "x=0 z1=1", by: "T2", from: Serializable, steps: `
		T1 scan z -> z1=1
		T2 get x -> 0
		T1 put x 1
		T2 put z2 2
		T1 commit
		T2 commit`},
	{name: "the first of a range", setup: "z2=2 z4=4", by: "T2", from: Serializable, steps: `
		T1 first z -> z2=2
		T2 last z -> z4=4
		T1 put z5 5
		T2 put z1 1
		T1 commit
		T2 commit`},
	{name: "a key that came and went", setup: "x=0 y=0 z1=1", by: "T1", from: Serializable, steps: `
		T1 scan z -> z1=1
		T2 get x -> 0
		T2 put z2 2
		T2 commit
		T3 delete z2
		T3 commit
		T1 put x 1
		T1 commit`},
}}

func TestG2Predicate(t *testing.T) { testAnomaly(t, &predicateAntiDependencies) }

var phantomInAnEmptyRange = anomaly{"G2 phantom into an empty range", []story{
	{name: "ranges", by: "T2", from: Serializable, steps: `
		T1 scan z -> nothing
		T2 scan z -> nothing
		T1 put z1 1
		T2 put z2 1
		T1 commit
		T2 commit`},
	{name: "downwards", by: "T1", from: Serializable, steps: `
		T1 last z -> nothing
		T2 back z -> nothing
		T1 put z1 1
		T2 put z2 1
		T2 commit
		T1 commit`},
	{name: "absent keys", by: "T2", from: Serializable, steps: `
		T1 get z1 -> -
		T2 has z2 -> -
		T1 put z2 1
		T2 put z1 1
		T1 commit
		T2 commit`},
	{name: "beside own writes", by: "T2", from: Serializable, steps: `
		T1 put z1 1
		T2 put z2 1
		T1 scan z -> z1=1
		T2 scan z -> z2=1
		T1 commit
		T2 commit`},
}}

func TestG2PhantomIntoAnEmptyRange(t *testing.T) { testAnomaly(t, &phantomInAnEmptyRange) }

// Fekete, O'Neil, O'Neil, A Read-Only Transaction Anomaly under Snapshot Isolation (2004): T1 deposits 20 to y, T2
// withdraws 10 from x, with a fee of 1 because it sees no deposit. T3 sees the deposit and not the withdrawal, so T1 came
// before T2, and there was no reason for the fee.
var readOnlyAnomaly = anomaly{"read-only transaction anomaly", []story{
	{name: "as published", by: "T2", from: Serializable, readOnly: "T3", steps: `
		T2 get x -> 0
		T2 get y -> 0
		T1 get y -> 0
		T1 put y 20
		T1 commit
		T3 get x -> 0
		T3 get y -> 20
		T3 commit
		T2 put x -11
		T2 commit
		finally -> x=-11 y=20`},
	{name: "with ranges", setup: "zx=0 zy=0", by: "T2", from: Serializable, readOnly: "T3", steps: `
		T2 scan z -> zx=0 zy=0
		T1 put zy 20
		T1 commit
		T3 scan z -> zx=0 zy=20
		T2 put zx -11
		T2 commit
		T3 scan z
		T3 commit
		finally -> zx=-11 zy=20`},
}}

func TestReadOnlyTransactionAnomaly(t *testing.T) { testAnomaly(t, &readOnlyAnomaly) }
