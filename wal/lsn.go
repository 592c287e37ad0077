package wal

// LSN is a position in the log: the count of log bytes before it, over the
// whole life of the database. It never goes back and is never reused for
// other durable content. Segment headers do not count: the LSN space has no gaps.
type LSN uint64

// FirstLSN is where the first record of a new log begins. It is not 0, so that
// 0 can mean "no log yet": an owner that notes End after creating the log
// learns of a log that has vanished, even one that was empty.
const FirstLSN LSN = recordAlign

// DatabaseID ties a log to the data file that it belongs to.
type DatabaseID [16]byte
