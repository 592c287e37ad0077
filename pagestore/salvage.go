package pagestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Salvage reads what is intact of a damaged file, and never writes to it. Every record that it gives was in the newest
// version that the file can prove, with that value; what it cannot prove it leaves out and lists as a Loss.
//
//	damaged                     consequence
//	one superblock              none: the other one is used
//	both superblocks            page size and checksum seed are found from the pages, the version from the newest bitmap
//	                            whose live pages are intact; the meta data is lost
//	leaf                        its records, but for those in its delta
//	inner node                  none: its live descendants are found by a scan of the pages
//	delta page                  the leaves that it belongs to are outdated
//	overflow run                one record
//	bitmap                      none, but then descendants of a damaged inner node cannot be told from old pages
//
// A record is outdated when something newer that the file had about its leaf is lost: it may have been replaced or deleted.
type Salvage struct {
	s    *Store
	sb   *superblock // of the version that is read; has only a sequence, an end and an index when both are damaged
	live bitmap      // nil when it is not known
	opts SalvageOptions

	superblocks int // intact ones
	losses      []Loss
	newest      uint64 // timestamp in the pages that were seen
}

// SalvageOptions says what to save.
type SalvageOptions struct {
	Options
	// KeepOutdated gives outdated records, too.
	KeepOutdated bool
}

// Loss is damage and what it costs.
type Loss struct {
	Page PageID
	What string
	Tree TreeID
	// From and To bound the keys that are affected: [From, To), To nil is the end. Both are nil for pages that hold no keys.
	From, To []byte
	// Records is how many are lost; -1 is unknown, 0 is none.
	Records int64
	// Outdated is how many were given although they may have been replaced or deleted.
	Outdated int64
}

// OpenSalvage opens a file for salvage, in whatever state it is. The options' page size, cache and ReadOnly do not matter.
// Errors: *VersionError, *NotDatabaseError when nothing in it is a page of a database, or what the file system says.
func OpenSalvage(ctx context.Context, name string, opts SalvageOptions) (*Salvage, error) {
	var err error
	if opts.Options, err = opts.Options.withDefaults(); err != nil {
		return nil, err
	}
	f, err := opts.FS.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, wrapIO(err, name, "open")
	}
	v := &Salvage{s: &Store{name: name, file: f, log: opts.Logger, readOnly: true}, opts: opts}
	if err := v.load(ctx); err != nil {
		_ = f.Close()
		return nil, err
	}
	return v, nil
}

// Close closes the file.
func (v *Salvage) Close() error { return v.s.file.Close() }

// Meta returns what the checkpoint of the version recorded. ok is false when no superblock is left.
func (v *Salvage) Meta() (m Meta, ok bool) { return v.sb.meta, v.superblocks > 0 }

// ID returns the database id. ok is false when no superblock is left.
func (v *Salvage) ID() (id DatabaseID, ok bool) { return v.sb.id, v.superblocks > 0 }

// PageSize returns the file's page size in bytes.
func (v *Salvage) PageSize() int { return v.s.pageSize }

// Sequence returns the checkpoint whose version is read.
func (v *Salvage) Sequence() uint64 { return v.sb.sequence }

// Newest returns the newest timestamp that was seen so far: the version has all that is up to it.
func (v *Salvage) Newest() uint64 { return max(v.newest, v.sb.meta.Timestamp) }

// Losses returns the damage met so far, in the order in which it was met.
func (v *Salvage) Losses() []Loss { return v.losses }

func (v *Salvage) lose(l Loss) { v.losses = append(v.losses, l) }

// load finds the version to read.
func (v *Salvage) load(ctx context.Context) error {
	size, err := v.s.file.Size()
	if err != nil {
		return v.s.ioError(err, "find the size")
	}
	v.s.fileBytes.Store(size)
	supers, what, err := v.supers(size)
	if err != nil {
		return err
	}
	for slot, sb := range supers {
		if sb == nil {
			v.lose(Loss{Page: PageID(slot), What: "superblock: " + what[slot]})
			continue
		}
		v.superblocks++
		if v.sb == nil || sb.sequence > v.sb.sequence {
			v.sb = sb
		}
	}
	if v.sb == nil {
		return v.rebuild(ctx, size)
	}
	v.s.id, v.s.pageSize, v.s.seed = v.sb.id, v.sb.pageSize, checksumSeed(v.sb.id)
	v.show()
	if v.live, _, err = v.s.readMap(v.sb); err != nil {
		v.live = nil
		v.lose(v.damage(err, "bitmap"))
	}
	return nil
}

// show makes the version the store's current one, as reading values needs it.
func (v *Salvage) show() { v.s.current.Store(&View{s: v.s, sb: v.sb, generation: 1}) }

// supers reads both superblocks, and says what is wrong with those that are damaged.
func (v *Salvage) supers(size int64) (supers [2]*superblock, what [2]string, err error) {
	b := make([]byte, superSize)
	n, err := v.s.file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		what[0] = err.Error()
	} else if supers[0], what[0], err = v.s.parseSuper(b[:n], 0); err != nil {
		return supers, what, err
	}
	supers[1], what[1], err = v.s.findSecond(supers[0], size)
	var version *VersionError
	if errors.As(err, &version) {
		return supers, what, err
	}
	if err != nil {
		what[1] = err.Error()
	}
	if supers[0] != nil && supers[1] != nil && supers[0].id != supers[1].id {
		return supers, what, v.s.corrupt(0, "its superblocks belong to two databases")
	}
	return supers, what, nil
}

// damage describes an error of reading a page.
func (v *Salvage) damage(err error, what string) Loss {
	var c *CorruptionError
	if errors.As(err, &c) {
		return Loss{Page: c.Page, What: what + ": " + c.What}
	}
	return Loss{What: what + ": " + err.Error()}
}

// Records calls yield for each record of a tree that can be saved, in key order. Records are valid during the call. The
// error is that of yield or of the context: damage is in Losses.
func (v *Salvage) Records(ctx context.Context, t TreeID, yield func(Record) error) error {
	if t >= NumTrees {
		return ErrUnknownTree
	}
	w := &salvageWalk{v: v, t: t, ctx: ctx, yield: yield}
	root := v.sb.trees[t]
	if v.superblocks == 0 {
		return w.descendants(child{count: -1}, maxHeight, fences{}, fmt.Sprintf("the root of tree %d: no superblock is left", t))
	}
	if root.height == 0 {
		return nil
	}
	return w.node(child{childRef: root.childRef, count: root.count, maxTS: root.maxTS}, root.height-1, fences{})
}
