package engine

import (
	"bytes"
	"iter"
	"slices"
)

// batch is a run of records that owns its memory.
type batch struct {
	data []byte
	ends []int // of key and value of each record, in turn
}

func (b *batch) add(key, value []byte) {
	b.data = append(b.data, key...)
	b.ends = append(b.ends, len(b.data))
	b.data = append(b.data, value...)
	b.ends = append(b.ends, len(b.data))
}

func (b *batch) len() int { return len(b.ends) / 2 }

// at returns the i-th record.
func (b *batch) at(i int) (key, value []byte) {
	start := 0
	if i > 0 {
		start = b.ends[2*i-1]
	}
	return b.data[start:b.ends[2*i]:b.ends[2*i]], b.data[b.ends[2*i]:b.ends[2*i+1]]
}

func (b *batch) all() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for i := range b.len() {
			if !yield(b.at(i)) {
				return
			}
		}
	}
}

// sorted yields the records by ascending key.
func (b *batch) sorted() iter.Seq2[[]byte, []byte] {
	order := make([]int, b.len())
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		left, _ := b.at(i)
		right, _ := b.at(j)
		return bytes.Compare(left, right)
	})
	return func(yield func(key, value []byte) bool) {
		for _, i := range order {
			if !yield(b.at(i)) {
				return
			}
		}
	}
}

// batches cuts records into batches of size, the last one perhaps smaller.
func batches(records iter.Seq2[[]byte, []byte], size int) iter.Seq[*batch] {
	return func(yield func(*batch) bool) {
		b := &batch{}
		for key, value := range records {
			b.add(key, value)
			if b.len() == size {
				if !yield(b) {
					return
				}
				b = &batch{}
			}
		}
		if b.len() > 0 {
			yield(b)
		}
	}
}
