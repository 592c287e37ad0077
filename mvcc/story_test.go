package mvcc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// A story is a schedule of transactions as text, one step a line:
//
//	T1 get x      T1 has x             read a key: its value or yes, - when it is absent
//	T1 lock x     T1 share x           read it with GetForUpdate or GetForShare
//	T1 put x 1    T1 delete x          T1 add n 1
//	T1 scan z     T1 back z            read all keys that begin with z, up or down: "z1=1 z2=2", or "nothing"
//	T1 first z    T1 last z            the same, but stop at the first one that way
//	T1 seek x                          read x with a cursor that stays open
//	T1 purge z 20                      delete, with ScanForUpdate, the keys that begin with z and have the value 20
//	T1 mark       T1 undo              set a savepoint, roll back to it
//	T1 commit     T1 rollback
//	finally                            what a new transaction sees of everything
//
// "-> a | b" behind a step says what it shows when the story comes true, for a story of an anomaly: when
// the anomaly happens. Without it a step may show anything, but its transaction must not fail. Errors show
// as "conflict", "refused" (a lock, with NoWait), "deadlock" and "timeout"; whoever gets one rolls back, and its later
// steps are not made.
//
// A transaction that waits for a lock goes on in its own time: the step after it is made when nothing moves any
// more, and the transaction's own next step when it has gone on. A story is told in a bubble of
// testing/synctest, so that "nothing moves" is known and not guessed.
type story struct {
	name     string // what distinguishes it
	setup    string // "x=0 y=0" when empty
	steps    string
	readOnly string // transactions that only read

	// The story cannot come true when one of these transactions is at least at this level; whatever the
	// level when there is none; and never without waiting, if a lock is refused.
	by      string
	from    Isolation
	refused bool
}

// levels are in the order of what they prevent.
var levels = []Isolation{ReadCommitted, Snapshot, Serializable}

func reaches(level, from Isolation) bool {
	return slices.Index(levels, level) >= slices.Index(levels, from)
}

type step struct {
	who, op string
	args    []string
	wants   []string
	text    string
}

func (s step) arg(i int) []byte {
	if i < len(s.args) {
		return []byte(s.args[i])
	}
	return nil
}

func (s *story) parse() (steps []step) {
	for line := range strings.Lines(s.steps) {
		text, wants, told := strings.Cut(strings.TrimSpace(line), "->")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		st := step{text: strings.Join(words, " ")}
		if told {
			for want := range strings.SplitSeq(wants, "|") {
				st.wants = append(st.wants, strings.TrimSpace(want))
			}
		}
		if words[0] == "finally" {
			st.op = words[0]
		} else {
			st.who, st.op, st.args = words[0], words[1], words[2:]
		}
		steps = append(steps, st)
	}
	return steps
}

// names are the transactions of the story.
func (s *story) names() (names []string) {
	for _, st := range s.parse() {
		if st.who != "" && !slices.Contains(names, st.who) {
			names = append(names, st.who)
		}
	}
	slices.Sort(names)
	return names
}

// cast gives each transaction its level.
type cast map[string]Isolation

// casts are all ways to give each transaction a level.
func (s *story) casts() []cast {
	all := []cast{{}}
	for _, name := range s.names() {
		var more []cast
		for _, c := range all {
			for _, level := range levels {
				next := cast{name: level}
				for other, l := range c {
					next[other] = l
				}
				more = append(more, next)
			}
		}
		all = more
	}
	return all
}

// uniform has everybody at one level.
func (s *story) uniform(level Isolation) cast {
	c := cast{}
	for _, name := range s.names() {
		c[name] = level
	}
	return c
}

// mixed reports whether there is more than one level.
func (c cast) mixed() bool {
	var first *Isolation
	for _, level := range c {
		if first != nil && *first != level {
			return true
		}
		first = &level
	}
	return false
}

func (c cast) String() string {
	var parts []string
	for name, level := range c {
		parts = append(parts, name+" "+level.String())
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// telling is what came of a story.
type telling struct {
	lines  []string // the transcript
	came   bool     // it went as the story says
	causes []string // why it did not, from the first wait to what was decisive
}

func (l *telling) String() string { return "\t" + strings.Join(l.lines, "\n\t") }

// actor is a transaction of a story, and what it does at the moment.
type actor struct {
	name    string
	tx      *Txn
	cursor  *Cursor
	mark    Savepoint
	running *step // nil: none
	waited  bool
	failed  bool
}

type outcome struct {
	shows string
	err   error
}

type result struct {
	actor *actor
	outcome
}

type teller struct {
	t       *testing.T
	db      *DB
	ks      *Keyspace
	between func() // done after each step; nil: nothing
	actors  []*actor
	results chan result // has room for all
	telling
	decided bool
}

// tell runs the story. REQUIRES: inside a bubble; the keyspace is empty.
func (s *story) tell(t *testing.T, db *DB, ks *Keyspace, c cast, failFast bool, between func()) *telling {
	t.Helper()
	setup := s.setup
	if setup == "" {
		setup = "x=0 y=0"
	}
	must(t, db.Update(bg, func(tx *Txn) error {
		for _, pair := range strings.Fields(setup) {
			key, value, _ := strings.Cut(pair, "=")
			if err := tx.Put(ks, []byte(key), []byte(value)); err != nil {
				return err
			}
		}
		return nil
	}))
	l := &teller{t: t, db: db, ks: ks, between: between, results: make(chan result, len(s.names()))}
	l.came = true
	for _, name := range s.names() {
		tx := begin(t, db, c[name], func(o *TxnOptions) {
			o.NoWait, o.Label, o.ReadOnly = failFast, name, slices.Contains(strings.Fields(s.readOnly), name)
		})
		l.actors = append(l.actors, &actor{name: name, tx: tx})
	}
	l.pause()
	for _, st := range s.parse() {
		l.step(&st)
		l.pause()
	}
	for _, a := range l.actors {
		l.await(a)
		a.tx.Rollback()
	}
	return &l.telling
}

func (l *teller) pause() {
	if l.between != nil {
		l.between()
	}
}

// step makes one step, and notes what came of it and of those who were waiting.
func (l *teller) step(st *step) {
	if st.op == "finally" {
		for _, a := range l.actors {
			l.await(a)
		}
		l.note(st, outcome{shows: l.everything()})
		return
	}
	a := l.actors[slices.IndexFunc(l.actors, func(a *actor) bool { return a.name == st.who })]
	l.await(a)
	if a.failed {
		l.lines = append(l.lines, fmt.Sprintf("%-16s", st.text))
		return
	}
	a.running, a.waited = st, false
	go func() { l.results <- result{a, l.do(a, st)} }()
	l.settle()
	if a.running != nil {
		a.waited = true
		l.lines = append(l.lines, fmt.Sprintf("%-16s waits", st.text))
		if !l.decided {
			l.cause("lock wait")
		}
		if !l.queued(a) {
			l.t.Errorf("%q hangs, and not in the queue of a lock\n%s", st.text, &l.telling)
		}
	}
}

// queued reports whether the lock table shows the transaction as one that waits.
func (l *teller) queued(a *actor) bool {
	for _, key := range l.db.Locks(false) {
		for _, w := range key.Queue {
			if w.Owner == a.tx.ID() {
				return true
			}
		}
	}
	return false
}

// settle goes on until nothing moves, and takes the results that have come.
func (l *teller) settle() {
	for synctest.Wait(); len(l.results) > 0; synctest.Wait() {
		l.take(nil)
	}
}

// await lets time pass until the transaction's step has ended. It may be the failure of another that ends it.
func (l *teller) await(a *actor) {
	for a.running != nil {
		first := <-l.results
		synctest.Wait()
		l.take(&first)
		l.settle()
	}
}

// take takes all results that are there, in the order of the transactions' names.
func (l *teller) take(first *result) {
	var all []result
	if first != nil {
		all = append(all, *first)
	}
	for len(l.results) > 0 {
		all = append(all, <-l.results)
	}
	slices.SortFunc(all, func(a, b result) int { return strings.Compare(a.actor.name, b.actor.name) })
	for _, r := range all {
		l.finish(r.actor, r.outcome)
	}
}

// finish notes the outcome of a step; who has failed rolls back.
func (l *teller) finish(a *actor, out outcome) {
	st := *a.running
	a.running = nil
	if out.err != nil && !IsRetryable(out.err) {
		l.t.Errorf("%q: %v\n%s", st.text, out.err, &l.telling)
	}
	if out.err != nil {
		a.failed = true
		a.tx.Rollback()
	}
	if a.waited {
		st.text = "  " + st.text
	}
	l.note(&st, out)
}

// note writes a line of the transcript, and judges it.
func (l *teller) note(st *step, out outcome) {
	shows := out.shows
	if out.err != nil {
		shows = inAWord(out.err)
	}
	l.lines = append(l.lines, fmt.Sprintf("%-16s %s", st.text, shows))
	if slices.Contains(st.wants, shows) || len(st.wants) == 0 && out.err == nil {
		return
	}
	l.came = false
	if waited := len(l.causes) > 0 && out.err == nil; !l.decided && !waited {
		l.cause(causeOf(st, out.err))
	}
	l.decided = true
}

func (l *teller) cause(cause string) {
	if !slices.Contains(l.causes, cause) {
		l.causes = append(l.causes, cause)
	}
}

// inAWord shows an error in a transcript.
func inAWord(err error) string {
	switch {
	case errors.Is(err, ErrConflict):
		return "conflict"
	case errors.Is(err, ErrLockNotAvailable):
		return "refused"
	case errors.Is(err, ErrDeadlock):
		return "deadlock"
	case errors.Is(err, ErrLockTimeout):
		return "timeout"
	}
	return err.Error()
}

// causeOf says how a step kept a story from coming true.
func causeOf(st *step, err error) string {
	switch {
	case err == nil:
		return "not visible"
	case errors.Is(err, ErrConflict) && st.op == "commit":
		return "conflict at commit"
	case errors.Is(err, ErrConflict):
		return "conflict at write"
	case errors.Is(err, ErrLockNotAvailable):
		return "lock refused"
	}
	return inAWord(err)
}

func (l *teller) everything() string {
	tx := begin(l.t, l.db, Snapshot)
	defer tx.Rollback()
	return orNothing(show(l.t, tx, l.ks, Range{}))
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

// do makes one step.
func (l *teller) do(a *actor, st *step) outcome {
	key := st.arg(0)
	switch st.op {
	case "get":
		return found(a.tx.Get(l.ks, key))
	case "lock":
		return found(a.tx.GetForUpdate(l.ks, key))
	case "share":
		return found(a.tx.GetForShare(l.ks, key))
	case "has":
		yes, err := a.tx.Has(l.ks, key)
		return outcome{map[bool]string{true: "yes", false: "-"}[yes], err}
	case "put":
		return done(a.tx.Put(l.ks, key, st.arg(1)))
	case "delete":
		return done(a.tx.Delete(l.ks, key))
	case "add":
		return done(a.tx.Add(l.ks, key, 1))
	case "scan", "back", "first", "last":
		return l.scan(a.tx, st.op, Prefix(key))
	case "seek":
		return l.seek(a, key)
	case "purge":
		return l.purge(a.tx, Prefix(key), string(st.arg(1)))
	case "mark":
		var err error
		a.mark, err = a.tx.Savepoint()
		return done(err)
	case "undo":
		return done(a.tx.RollbackTo(a.mark))
	case "commit":
		return done(a.tx.Commit())
	case "rollback":
		a.tx.Rollback()
		return done(nil)
	}
	return outcome{err: errors.New("unknown step " + st.op)}
}

func done(err error) outcome { return outcome{"ok", err} }

func found(value []byte, err error) outcome {
	if errors.Is(err, ErrNotFound) {
		return outcome{shows: "-"}
	}
	return outcome{string(value), err}
}

func (l *teller) scan(tx *Txn, op string, r Range) outcome {
	items := tx.Scan(l.ks, r)
	if op == "back" || op == "last" {
		items = tx.Reverse(l.ks, r)
	}
	var parts []string
	for item, err := range items {
		if err != nil {
			return outcome{err: err}
		}
		parts = append(parts, fmt.Sprintf("%s=%s", item.Key, item.Value))
		if op == "first" || op == "last" {
			break
		}
	}
	return outcome{shows: orNothing(strings.Join(parts, " "))}
}

func (l *teller) seek(a *actor, key []byte) outcome {
	c, err := a.tx.Cursor(l.ks, Range{})
	if err != nil {
		return outcome{err: err}
	}
	a.cursor = c
	if !c.Seek(key) {
		return outcome{"-", c.Err()}
	}
	value, err := c.Value()
	return outcome{string(value), err}
}

func (l *teller) purge(tx *Txn, r Range, value string) outcome {
	for item, err := range tx.ScanForUpdate(l.ks, r) {
		if err == nil && string(item.Value) == value {
			err = tx.Delete(l.ks, item.Key)
		}
		if err != nil {
			return outcome{err: err}
		}
	}
	return done(nil)
}
