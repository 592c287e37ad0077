package vfs

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// contentModel is a content as a plain byte slice.
type contentModel []byte

func (m contentModel) write(p []byte, off int) contentModel {
	m = m.resize(max(len(m), off+len(p)))
	copy(m[off:], p)
	return m
}

func (m contentModel) resize(size int) contentModel {
	out := make(contentModel, size)
	copy(out, m)
	return out
}

// nearChunks draws offsets that like the borders of chunks.
func nearChunks() *rapid.Generator[int] {
	return rapid.Custom(func(t *rapid.T) int {
		border := rapid.IntRange(0, 3).Draw(t, "chunk") * chunkSize
		return max(0, border+rapid.IntRange(-3, 3).Draw(t, "from border"))
	})
}

func TestContentIsAByteSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type pair struct {
			real  *content
			model contentModel
		}
		first := newContent()
		pairs := []pair{{&first, nil}}
		pick := func(t *rapid.T) *pair { return &pairs[rapid.IntRange(0, len(pairs)-1).Draw(t, "which")] }
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				p, off := pick(t), nearChunks().Draw(t, "off")
				length := max(1, nearChunks().Draw(t, "length"))
				data := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, length)
				p.real.writeAt(data, int64(off))
				p.model = p.model.write(data, off)
			},
			"truncate": func(t *rapid.T) {
				p, size := pick(t), nearChunks().Draw(t, "size")
				p.real.truncate(int64(size))
				p.model = p.model.resize(size)
			},
			"zero": func(t *rapid.T) {
				p := pick(t)
				from := min(nearChunks().Draw(t, "from"), len(p.model))
				to := min(from+nearChunks().Draw(t, "length"), len(p.model))
				p.real.zero(int64(from), int64(to))
				clear(p.model[from:to])
			},
			"clone": func(t *rapid.T) {
				if len(pairs) == 4 {
					t.SkipNow()
				}
				p := pick(t)
				clone := p.real.clone()
				pairs = append(pairs, pair{&clone, bytes.Clone(p.model)})
			},
			"read": func(t *rapid.T) {
				p, off := pick(t), nearChunks().Draw(t, "off")
				buf := bytes.Repeat([]byte{0xAA}, nearChunks().Draw(t, "length"))
				n := p.real.readAt(buf, int64(off))
				want := p.model[min(off, len(p.model)):min(off+len(buf), len(p.model))]
				if !bytes.Equal(buf[:n], want) {
					t.Fatalf("read of %d bytes at %d differs", len(buf), off)
				}
			},
			"": func(t *rapid.T) {
				for i, p := range pairs {
					if problem := p.real.check(); problem != "" {
						t.Fatalf("content %d: %s", i, problem)
					}
					all := make([]byte, len(p.model)+1)
					n := p.real.readAt(all, 0)
					if !bytes.Equal(all[:n], p.model) {
						t.Fatalf("content %d differs from the model", i)
					}
				}
			},
		})
	})
}
