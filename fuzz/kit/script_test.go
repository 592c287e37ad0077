package kit

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// A script is a history, one transaction a line:
//
//	level [process] [from-to] [aborted|unknown]: operations
//
//	rc | mv | si | ser | strict
//	p3                          process; each line has its own without it
//	1-4                         invoked and completed
//	ax1                         append 1 to x
//	rx[1,2]  hx[1,2]            read, held read
//	Ra-c{b[1]}  Ha-c{b[1]}      range read, held, of a <= key < c
//
// Keys are the letters from a to z; their numbers are those of the letters.

var scriptLevels = map[string]Level{
	"rc": ReadCommitted, "mv": MonotonicView, "si": Snapshot, "ser": Serializable, "strict": StrictSerializable,
}

func script(t *testing.T, text string) History {
	t.Helper()
	var h History
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		txn, err := parseTxn(line, len(h.Txns))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		h.Txns = append(h.Txns, txn)
	}
	return h
}

func parseTxn(line string, number int) (Txn, error) {
	head, body, ok := strings.Cut(line, ":")
	if !ok {
		return Txn{}, fmt.Errorf("no colon")
	}
	txn := Txn{Process: 100 + number, Status: Committed}
	for _, word := range strings.Fields(head) {
		if err := parseWord(&txn, word); err != nil {
			return Txn{}, err
		}
	}
	for _, word := range strings.Fields(body) {
		op, err := parseOp(word)
		if err != nil {
			return Txn{}, err
		}
		txn.Ops = append(txn.Ops, op)
	}
	return txn, nil
}

func parseWord(txn *Txn, word string) error {
	switch {
	case scriptLevels[word] != 0:
		txn.Level = scriptLevels[word]
	case word == "aborted":
		txn.Status = Aborted
	case word == "unknown":
		txn.Status = Unknown
	case strings.HasPrefix(word, "p"):
		_, err := fmt.Sscanf(word, "p%d", &txn.Process)
		return err
	default:
		_, err := fmt.Sscanf(word, "%d-%d", &txn.Invoked, &txn.Completed)
		return err
	}
	return nil
}

func parseOp(word string) (Op, error) {
	key, rest := Key(word[1]), word[2:]
	switch word[0] {
	case 'a':
		v, err := strconv.Atoi(rest)
		return Append(key, Value(v)), err
	case 'r', 'h':
		list, err := parseList(rest)
		op := Read(key, list...)
		op.Held = word[0] == 'h'
		return op, err
	case 'R', 'H':
		return parseRange(word)
	}
	return Op{}, fmt.Errorf("no operation: %q", word)
}

// parseRange parses Ra-c{b[1]}.
func parseRange(word string) (Op, error) {
	op := ReadRange(Key(word[1]), Key(word[3]))
	op.Held = word[0] == 'H'
	for row := range strings.SplitSeq(strings.Trim(word[4:], "{}"), "]") {
		if row == "" {
			continue
		}
		list, err := parseList(row[1:] + "]")
		if err != nil {
			return op, err
		}
		op.Rows = append(op.Rows, Row{Key(row[0]), list})
	}
	return op, nil
}

func parseList(text string) (list []Value, err error) {
	if !strings.HasPrefix(text, "[") || !strings.HasSuffix(text, "]") {
		return nil, fmt.Errorf("no list: %q", text)
	}
	for number := range strings.SplitSeq(text[1:len(text)-1], ",") {
		if number == "" {
			continue
		}
		v, err := strconv.Atoi(number)
		if err != nil {
			return nil, err
		}
		list = append(list, Value(v))
	}
	return list, nil
}
