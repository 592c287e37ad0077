package graph

import (
	"time"
)

// maxYear bounds the years of dates, before and after the year 0.
const maxYear = 5_000_000

// maxDays bounds days in records, so that their seconds fit.
const maxDays = 1 << 40

const secondsOfDay = 24 * 60 * 60

// Time returns a moment, in microseconds as in SQL: what is below is cut off, and the time zone is not kept. The
// range is 292,000 years before and after 1970; moments beyond become the nearest one in it.
func Time(t time.Time) Value {
	const last = 1<<63/1_000_000 - 1 // seconds
	switch s := t.Unix(); {
	case s > last:
		t = time.Unix(last, 0)
	case s < -last:
		t = time.Unix(-last, 0)
	}
	return Value{kind: KindTime, num: uint64(t.UnixMicro())}
}

// Date returns a day of the calendar without a time zone. Values outside of their usual ranges are normalised as time.Date does; years
// beyond 5,000,000 before or after 0 become the nearest one in that range.
func Date(year int, month time.Month, day int) Value {
	t := time.Date(min(max(year, -maxYear), maxYear), month, day, 0, 0, 0, 0, time.UTC)
	return Value{kind: KindDate, num: uint64(t.Unix() / secondsOfDay)} // midnight: nothing is left over
}

// Duration returns a span of time, in nanoseconds.
func Duration(d time.Duration) Value { return Value{kind: KindDuration, num: uint64(d)} }

// AsTime returns the moment in UTC, and whether the value is one.
func (v Value) AsTime() (t time.Time, ok bool) {
	if v.kind != KindTime {
		return time.Time{}, false
	}
	return time.UnixMicro(int64(v.num)).UTC(), true
}

// AsDate returns the day, and whether the value is one.
func (v Value) AsDate() (year int, month time.Month, day int, ok bool) {
	if v.kind != KindDate {
		return 0, 0, 0, false
	}
	year, month, day = v.midnight().Date()
	return year, month, day, true
}

// AsDuration returns the span of time, and whether the value is one.
func (v Value) AsDuration() (d time.Duration, ok bool) {
	if v.kind != KindDuration {
		return 0, false
	}
	return time.Duration(v.num), true
}

// midnight is when a date begins in UTC.
func (v Value) midnight() time.Time { return time.Unix(int64(v.num)*secondsOfDay, 0).UTC() }
