package mvcc

import "time"

// Timestamp orders commits. Its upper 44 bits are milliseconds since 1970,
// the lower 20 a counter, so that a moment in time names a place in the
// commit order. It never goes back, even when the wall clock does.
type Timestamp uint64

const timestampCounterBits = 20

// maxTimestamp is above every timestamp that is ever given out.
const maxTimestamp = ^Timestamp(0)

// Time returns the wall clock part of the timestamp.
func (t Timestamp) Time() time.Time { return time.UnixMilli(int64(t >> timestampCounterBits)) }

// TimestampOf returns the timestamp of a moment: commits up to that moment are
// not above it.
func TimestampOf(t time.Time) Timestamp {
	return Timestamp(t.UnixMilli()+1)<<timestampCounterBits - 1
}

// nextTimestamp returns a timestamp above last, at the clock's time if the
// clock has not gone back.
func nextTimestamp(last Timestamp, now time.Time) Timestamp {
	return max(last+1, Timestamp(now.UnixMilli())<<timestampCounterBits)
}
