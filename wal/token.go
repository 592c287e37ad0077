package wal

// token is a lock that is held across I/O. Unlike a mutex it lets virtual time pass for those who wait for it, so that
// tests can show what happens beside a device that does not answer.
type token chan struct{}

func newToken() token { return make(token, 1) }

func (t token) lock()   { t <- struct{}{} }
func (t token) unlock() { <-t }
