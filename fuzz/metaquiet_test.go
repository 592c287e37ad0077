package fuzz

import (
	"fmt"

	"github.com/sombradb/sombra/internal/vfs"
	"github.com/sombradb/sombra/mvcc"
)

// quiet ends all open transactions without effect, in one of the ways in which that can come about, and dumps what is left.
func (m *metaRun) quiet(metaArgs) string {
	way := m.o.quiet
	if way == "any" {
		ways := []string{"nothing", "checkpoint", "restart", "restart", "crash", "crash", "crash", "read-only", "compact"}
		way = ways[m.o.dice("way", m.at)%uint64(len(ways))]
	}
	m.quiets[way]++
	switch way {
	case "crash":
		m.crash()
	case "restart", "read-only":
		m.restart(way == "read-only")
	default:
		m.endAll()
		switch way {
		case "checkpoint":
			m.must("checkpoint", m.db.Checkpoint(m.ctx))
		case "compact":
			m.must("compact", m.db.Compact(m.ctx, nil))
		}
	}
	if m.err != nil {
		return "error"
	}
	return m.dumpNewest()
}

// reopened returns the options for the next opening: those that can change do.
func (m *metaRun) reopened() metaOptions {
	o := m.o
	if m.o.budget != plainMeta.budget && m.o.dice("budget", m.at)%2 == 0 {
		o.budget = 24 << 20
	}
	if m.o.segment != plainMeta.segment && m.o.dice("segment", m.at)%2 == 0 {
		o.segment *= 2
	}
	return o
}

func (m *metaRun) restart(readOnly bool) {
	m.endAll()
	m.count()
	m.must("close", m.db.Close())
	m.db = nil
	if readOnly && m.err == nil {
		m.lookReadOnly()
	}
	if m.err == nil {
		m.open(m.reopened())
	}
}

// lookReadOnly opens the files without changing them, and compares everything.
func (m *metaRun) lookReadOnly() {
	o := m.o.database(vfs.ReadOnly(m.mem))
	o.ReadOnly = true
	var err error
	if m.db, err = mvcc.Open(dbPath, o); err != nil {
		m.fail("open read-only: %v", err)
		return
	}
	for i, ks := range m.spaces {
		if ks != nil {
			m.spaces[i], err = m.db.Keyspace(m.ctx, metaSpaceName(i))
			m.must("keyspace", err)
		}
	}
	m.dumpNewest()
	m.must("close", m.db.Close())
	m.db = nil
}

// crash takes what the disk holds when the power fails while transactions are open, and goes on from that. Whatever was
// acknowledged is to be there: where a mode does not promise that, a commit that is durable comes first, for commits
// survive in their order.
func (m *metaRun) crash() {
	if m.o.durability != "full" {
		m.must("durable commit", m.durableCommit())
	}
	seed := m.o.dice("image", m.at)
	image := m.mem.Crash(vfs.CrashConfig{
		Mode: []vfs.CrashMode{vfs.LoseAll, vfs.KeepAll, vfs.Random, vfs.Random}[seed%4], Seed: seed, SectorSize: []int{512, 4096}[seed>>2%2],
	})
	m.endAll()
	m.count()
	m.must("close", m.db.Close())
	m.db = nil
	if m.err == nil {
		m.mem = image
		m.open(m.reopened())
	}
}

func (m *metaRun) durableCommit() error {
	ks, err := m.db.Keyspace(m.ctx, "durable")
	if err != nil {
		return err
	}
	full := mvcc.Full
	return m.db.UpdateWith(m.ctx, &mvcc.TxnOptions{Durability: &full}, func(tx *mvcc.Txn) error {
		return tx.Put(ks, []byte("k"), fmt.Append(nil, m.at))
	})
}
