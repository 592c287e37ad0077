package lockmgr

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sombradb/sombra/deadlock"
)

const machineOwners = 6

var (
	machineKeys = []string{"k", "l", "m"}
	errGone     = errors.New("gone")
	errShot     = errors.New("shot")
)

// machine runs the table and the model side by side. Which owner steps next is
// drawn, so that an interleaving is data and shrinks.
type machine struct {
	*crowd
	rt       *rapid.T
	model    *model
	owners   [machineOwners]*Owner
	attempts [machineOwners]*attempt // running; nil when the owner is free
	killed   [machineOwners]bool
}

func TestTableAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{crowd: &crowd{t: t, table: newTable(Options{Grace: time.Hour})}, rt: rt, model: newModel()}
		if rapid.Bool().Draw(rt, "hashes collide") {
			m.table.hashMask = 1
		}
		for i := range m.owners {
			m.owners[i] = m.owner(OwnerInfo{
				ID: uint64(i), Priority: rapid.IntRange(0, 1).Draw(rt, "priority"), Retries: rapid.IntRange(0, 1).Draw(rt, "retries"),
			})
		}
		rt.Repeat(map[string]func(*rapid.T){
			"":        m.verify,
			"acquire": m.acquire,
			"ask":     m.acquire, // twice, so that queues grow
			"nowait":  m.nowait,
			"release": m.release,
			"cancel":  m.cancel,
			"kill":    m.kill,
			"timeout": m.timeout,
			"detect":  m.detect,
		})
		m.table.Close()
		for i := range m.attempts {
			if m.attempts[i] != nil {
				m.expect(i, ErrClosed)
			}
		}
	})
}

// pick draws an owner that waits, or one that does not.
func (m *machine) pick(rt *rapid.T, waits bool) int {
	var fit []int
	for i := range m.owners {
		if (m.attempts[i] != nil) == waits {
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		rt.Skip("nobody fits")
	}
	return rapid.SampledFrom(fit).Draw(rt, "owner")
}

func drawLock(rt *rapid.T) (string, Mode) {
	return rapid.SampledFrom(machineKeys).Draw(rt, "key"), rapid.SampledFrom([]Mode{S, U, A, X}).Draw(rt, "mode")
}

func (m *machine) acquire(rt *rapid.T) {
	i := m.pick(rt, false)
	key, mode := drawLock(rt)
	a := m.start(m.owners[i], key, mode, 0)
	m.attempts[i] = a
	switch m.model.request(i, key, mode, !m.killed[i]) {
	case "waits":
		if !a.waits() {
			rt.Fatalf("owner %d should wait for %v on %s", i, mode, key)
		}
	case "refused":
		m.expect(i, errShot)
	default:
		m.expect(i, nil)
	}
}

func (m *machine) nowait(rt *rapid.T) {
	i := m.pick(rt, false)
	key, mode := drawLock(rt)
	err := m.table.Acquire(context.Background(), m.owners[i], []byte(key), mode, NoWait, 0)
	if refused := m.model.request(i, key, mode, false) == "refused"; refused != errors.Is(err, ErrNotAvailable) {
		rt.Fatalf("owner %d, %v on %s without waiting: %v", i, mode, key, err)
	}
}

func (m *machine) release(rt *rapid.T) {
	i := m.pick(rt, false)
	m.table.ReleaseAll(m.owners[i])
	m.killed[i] = false
	m.model.release(i)
	m.collectGrants()
}

func (m *machine) cancel(rt *rapid.T) {
	i := m.pick(rt, true)
	m.attempts[i].cancel(errGone)
	m.model.withdraw(i)
	m.expect(i, errGone)
	m.collectGrants()
}

func (m *machine) kill(rt *rapid.T) {
	i := rapid.IntRange(0, machineOwners-1).Draw(rt, "owner")
	m.table.Kill(m.owners[i], errShot)
	m.killed[i] = true
	if m.attempts[i] != nil {
		m.model.withdraw(i)
		m.expect(i, errShot)
		m.collectGrants()
	}
}

// timeout does what the owner's timer would do.
func (m *machine) timeout(rt *rapid.T) {
	i := m.pick(rt, true)
	r := &m.owners[i].req
	r.in.Load().giveUpLate(r, &TimeoutError{Mode: r.mode})
	m.model.withdraw(i)
	m.expect(i, ErrTimeout)
	m.collectGrants()
}

// detect lets the table resolve its deadlocks, and holds each report against the
// state of the model at that moment.
func (m *machine) detect(rt *rapid.T) {
	before := m.table.reports.mu.next
	var sv survey
	m.table.detect(&sv)
	fresh := m.table.Deadlocks()[:min(keptReports, m.table.reports.mu.next-before)]
	for _, report := range slices.Backward(fresh) {
		m.checkReport(rt, report)
		loser, _ := report.Victim()
		m.model.withdraw(int(loser.ID))
		m.expect(int(loser.ID), report)
	}
	m.collectGrants()
	if left := deadlock.Cycles(m.model.graph(machineOwners)); left != nil {
		rt.Fatalf("detection left a deadlock: %v", m.model)
	}
}

func (m *machine) checkReport(rt *rapid.T, report *deadlock.Error) {
	loser, _ := report.Victim()
	for at, p := range report.Cycle {
		next := report.Cycle[(at+1)%len(report.Cycle)]
		if !slices.Contains(m.model.blocked(int(p.ID)), int(next.ID)) {
			rt.Fatalf("L7: no wait of %d for %d in %v:\n%v", p.ID, next.ID, m.model, report)
		}
		if p.Priority < loser.Priority || p.Priority == loser.Priority && p.Retries < loser.Retries {
			rt.Fatalf("wrong victim:\n%v", report)
		}
	}
}

// expect waits for the end of an owner's attempt and compares its error.
func (m *machine) expect(i int, want error) {
	select {
	case err := <-m.attempts[i].result:
		if want == nil && err != nil || !errors.Is(err, want) {
			m.rt.Fatalf("owner %d: got %v, want %v", i, err, want)
		}
	case <-time.After(20 * time.Second):
		m.rt.Fatalf("owner %d sleeps for ever, want %v; %v", i, want, m.model)
	}
	m.attempts[i] = nil
}

// collectGrants sees that those whom the model has granted return.
func (m *machine) collectGrants() {
	for i := range m.attempts {
		if m.attempts[i] != nil && !m.model.waits(i) {
			m.expect(i, nil)
		}
	}
}

func (m *machine) verify(rt *rapid.T) {
	if err := m.table.Check(); err != nil {
		rt.Fatal(err)
	}
	if got, want := stateString(m.table), m.model.String(); got != want {
		rt.Fatalf("the table has\n%s\nthe model\n%s", got, want)
	}
	for i, a := range m.attempts {
		if a != nil && !a.waits() {
			rt.Fatalf("owner %d woke up too early", i)
		}
		for _, key := range machineKeys {
			if a == nil && m.table.Held(m.owners[i], []byte(key)) != m.model.key(key).holders[i] {
				rt.Fatalf("owner %d: wrong idea of what it holds of %s", i, key)
			}
		}
	}
	m.compareGraphs(rt)
	m.compareOwners(rt)
}

// compareOwners holds what can be seen of the owners from outside against the model.
func (m *machine) compareOwners(rt *rapid.T) {
	seen := make([]OwnerState, machineOwners)
	for _, state := range m.table.Owners() {
		if state.Locks == 0 && state.Waits == nil {
			rt.Fatalf("owner %d is listed with nothing", state.Owner)
		}
		seen[state.Owner] = state
	}
	for i, o := range m.owners {
		if got, want := seen[i].Locks, m.model.locks(i); got != want {
			rt.Fatalf("owner %d holds %d locks, seen are %d", i, want, got)
		}
		w, waits := m.table.Waiting(o)
		if waits != m.model.waits(i) || waits != (seen[i].Waits != nil) {
			rt.Fatalf("owner %d waits: %v, is listed with %v", i, waits, seen[i].Waits)
		}
		if !waits {
			continue
		}
		key, r := m.model.wait(i)
		if !reflect.DeepEqual(w, *seen[i].Waits) || w.Key != quoted([]byte(key)) || w.Mode != r.mode || w.Owner != uint64(i) {
			rt.Fatalf("owner %d waits for %v on %s, seen is %+v, listed %+v", i, r.mode, key, w, *seen[i].Waits)
		}
		for _, b := range w.WaitsFor {
			if !slices.Contains(m.model.blocked(i), int(b)) {
				rt.Fatalf("owner %d does not wait for %d: %v", i, b, m.model)
			}
		}
		if len(w.WaitsFor) == 0 {
			rt.Fatalf("owner %d waits for nobody", i)
		}
	}
	for _, k := range m.table.Locks(false) {
		for _, w := range k.Queue {
			if !reflect.DeepEqual(w, *seen[w.Owner].Waits) {
				rt.Fatalf("in the queue stands %+v, listed is %+v", w, *seen[w.Owner].Waits)
			}
		}
	}
}

// compareGraphs holds the survey, which leaves blockers out, against the full
// graph: a cycle is in both or in none, and the shortest are of the same length.
func (m *machine) compareGraphs(rt *rapid.T) {
	var sv survey
	sv.take(m.table)
	got, want := shortest(sv.cycles()), shortest(deadlock.Cycles(m.model.graph(machineOwners)))
	if got != want {
		rt.Fatalf("shortest cycle in the survey has %d, in the model %d members: %v", got, want, m.model)
	}
}

func shortest(cycles [][]int) int {
	length := 0
	for _, c := range cycles {
		if length == 0 || len(c) < length {
			length = len(c)
		}
	}
	return length
}
