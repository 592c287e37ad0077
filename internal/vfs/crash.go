package vfs

// CrashMode says what happens to unsynced changes when the power fails.
type CrashMode int

const (
	// LoseAll keeps nothing but what was synced.
	LoseAll CrashMode = iota
	// KeepAll keeps every change, as if all had reached the medium in time.
	KeepAll
	// Random keeps some of them, which ones the seed decides.
	Random
)

// CrashConfig chooses a crash image. The same Mem and the same config give the
// same image.
type CrashConfig struct {
	// Mode is what happens to unsynced changes.
	Mode CrashMode
	// Seed drives Random.
	Seed uint64
	// SectorSize is the unit in bytes that is written whole or not at all, as
	// a rule 512 or 4096. Zero or less means 512.
	SectorSize int
}

const defaultSectorSize = 512

// Crash returns what the medium holds when the power fails now. m itself goes
// on unharmed with its open files, so that one run can be crashed in several
// ways. In the image everything is durable, no file is open, and no lock held.
//
// In mode Random every file and directory is decided on its own:
//
//   - Sectors: of the unsynced writes that touch a sector, the first k are on
//     the medium. A sector is written from memory that holds all earlier
//     writes, so a later one is never there without them; different sectors
//     know nothing of each other.
//   - Size: of the truncations and growing writes, the first k took effect; the
//     next growing write may have grown the file by some of its sectors. Kept
//     sectors behind the size are cut off, lost ones below it read as what was
//     there before, or as zeros.
//   - Directories: of the creations, renames and removals in one directory, the
//     first k took effect. A rename takes effect whole, in both directories.
func (m *Mem) Crash(cfg CrashConfig) *Mem {
	// Cloning contents changes who owns their chunks, hence the write lock.
	m.mu.Lock()
	defer m.mu.Unlock()
	b := imageBuilder{
		image:   NewMem(),
		dice:    newDice(cfg),
		entries: m.survivorsLocked(newDice(cfg)),
		copies:  map[*memNode]*memNode{},
	}
	b.image.mu.nextID = m.mu.nextID
	b.image.mu.root = b.copy(m.mu.root)
	return b.image
}

// imageBuilder copies the surviving tree. REQUIRES: the source's mu held for
// writing. The image belongs to the builder alone.
type imageBuilder struct {
	image   *Mem
	dice    dice
	entries func(*memNode) map[string]*memNode
	copies  map[*memNode]*memNode
}

func (b *imageBuilder) copy(n *memNode) *memNode {
	if c := b.copies[n]; c != nil {
		return c
	}
	c := &memNode{id: n.id, mode: n.mode}
	b.copies[n] = c
	if n.file != nil {
		c.file = &memData{durable: n.file.afterCrash(b.dice, n.id)}
		c.file.live = c.file.durable.clone()
		return c
	}
	c.dir = newMemDir()
	for name, child := range b.entries(n) {
		node := b.copy(child)
		c.dir.live[name] = node
		c.dir.durable[name] = node
	}
	return c
}

// afterCrash replays the unsynced operations as far as they survive.
func (d *memData) afterCrash(dice dice, node uint64) content {
	r := replay{
		dice:   dice,
		node:   node,
		image:  d.durable.clone(),
		sizes:  dice.upTo(d.sizeChanges(), node, diceSizes),
		counts: d.sectorCounts(int64(dice.sector)),
		seen:   map[int64]int{},
	}
	size := d.durable.size // as a process saw it
	for i := range d.log {
		op := &d.log[i]
		if op.truncate {
			r.truncate(op.off)
			size = op.off
			continue
		}
		r.write(op, op.off+op.n > size)
		size = max(size, op.off+op.n)
	}
	return r.image
}

// sizeChanges counts the truncations and the growing writes.
func (d *memData) sizeChanges() int {
	count, size := 0, d.durable.size
	for _, op := range d.log {
		end := op.off + op.n
		switch {
		case op.truncate:
			size = op.off
			count++
		case end > size:
			size = end
			count++
		}
	}
	return count
}

// sectorCounts returns how many unsynced writes touch each sector.
func (d *memData) sectorCounts(sector int64) map[int64]int {
	counts := map[int64]int{}
	for _, op := range d.log {
		if op.truncate {
			continue
		}
		for s := op.off / sector; s*sector < op.off+op.n; s++ {
			counts[s]++
		}
	}
	return counts
}

// replay builds a file as it is after a crash.
type replay struct {
	dice   dice
	node   uint64
	image  content
	sizes  int           // size changes that still take effect
	torn   bool          // the first lost size change has passed
	counts map[int64]int // unsynced writes per sector
	seen   map[int64]int // of those, how many were replayed or passed over
}

func (r *replay) truncate(size int64) {
	if r.sizes > 0 {
		r.sizes--
		r.image.truncate(size)
		return
	}
	r.torn = true
}

func (r *replay) write(op *fileOp, grows bool) {
	if grows {
		r.grow(op)
	}
	sector := int64(r.dice.sector)
	for s := op.off / sector; s*sector < op.off+op.n; s++ {
		r.seen[s]++
		kept := r.dice.upTo(r.counts[s], r.node, uint64(s)+diceSectors)
		if r.seen[s] <= kept {
			r.keep(op, max(op.off, s*sector), min(op.off+op.n, (s+1)*sector))
		}
	}
}

// grow extends the file for a write, whole, or up to one of its sectors when it
// is the one that the crash interrupted.
func (r *replay) grow(op *fileOp) {
	end := op.off + op.n
	switch {
	case r.sizes > 0:
		r.sizes--
		r.image.grow(end)
	case !r.torn && r.dice.mode == Random:
		r.torn = true
		sector := int64(r.dice.sector)
		first := max(r.image.size, op.off) / sector
		some := r.dice.upTo(int(end/sector-first), r.node, diceTorn)
		if some > 0 {
			r.image.grow((first + int64(some)) * sector)
		}
	}
}

// keep writes the op's bytes in [from, to), as far as the size reaches.
func (r *replay) keep(op *fileOp, from, to int64) {
	to = min(to, r.image.size)
	switch {
	case from >= to:
	case op.data == nil:
		r.image.zero(from, to)
	default:
		r.image.writeAt(op.data[from-op.off:to-op.off], from)
	}
}
