package vfs

// memData is the content of one file, as it reads and as it is on the medium,
// and the way from the one to the other. Guarded by Mem.mu.
type memData struct {
	live    content  // what a read returns
	durable content  // what the last sync wrote
	log     []fileOp // unsynced operations, oldest first (M1)
	// forgotten: a sync failed, so durable plus log no longer make up live.
	forgotten bool
}

func newMemData() *memData {
	return &memData{live: newContent(), durable: newContent()}
}

// fileOp is one unsynced change.
type fileOp struct {
	truncate bool
	off      int64  // of the write, or the new size
	n        int64  // bytes written
	data     []byte // nil when all of them are zero
}

func (d *memData) write(p []byte, off int64) {
	op := fileOp{off: off, n: int64(len(p))}
	if !allZero(p) {
		op.data = append([]byte(nil), p...)
	}
	d.live.writeAt(p, off)
	d.log = append(d.log, op)
}

func (d *memData) truncate(size int64) {
	d.live.truncate(size)
	d.log = append(d.log, fileOp{truncate: true, off: size})
}

func (d *memData) sync() {
	for i := range d.log {
		d.log[i].applyTo(&d.durable)
	}
	d.log = nil
}

func (d *memData) forget() {
	d.forgotten = d.forgotten || len(d.log) > 0
	d.log = nil
}

func (op *fileOp) applyTo(c *content) {
	switch {
	case op.truncate:
		c.truncate(op.off)
	case op.data == nil:
		c.grow(op.off + op.n)
		c.zero(op.off, op.off+op.n)
	default:
		c.writeAt(op.data, op.off)
	}
}

// check verifies M1 and returns what is wrong, or nothing.
func (d *memData) check() string {
	if problem := d.live.check(); problem != "" {
		return "what is read: " + problem
	}
	if problem := d.durable.check(); problem != "" {
		return "what is durable: " + problem
	}
	if d.forgotten {
		return ""
	}
	replayed := d.durable.clone()
	for i := range d.log {
		d.log[i].applyTo(&replayed)
	}
	return d.live.differsFrom(&replayed)
}
