package deadlock

import "errors"

// ErrDeadlock matches every *Error under errors.Is. The operation may be retried
// after the transaction has been rolled back.
var ErrDeadlock = errors.New("deadlock: transaction ended to break a cycle of waits")
