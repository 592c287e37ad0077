package mvcc

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sombradb/sombra/internal/hugepage"
)

// replayDecoder makes the items of chunks, by goroutines that start with the first chunk that is given. A log of one chunk
// needs none.
type replayDecoder struct {
	in    chan chunkToDecode // nil until goroutines run
	all   sync.WaitGroup
	bytes atomic.Int64 // see replayBatch.bytes

	// What the goroutines found; to be read when they have ended.
	mu    sync.Mutex
	lists []itemList
	bad   *badCommit // the first one in log order
}

// chunkToDecode is a chunk that does not change any more.
type chunkToDecode struct {
	number  int
	data    []byte
	commits []loggedCommit
}

// badCommit is a commit that does not decode.
type badCommit struct {
	at     place     // where it begins
	before chunkInfo // the commits before it in its chunk
	err    error
}

// itemList is the items that one goroutine has made.
type itemList struct {
	blocks [][]replayItem
	count  int
	adds   bool
}

// maxReplayDecoders bounds the goroutines that decode. One is enough for what one reader reads, so others help only
// where memory is slow.
const maxReplayDecoders = 3

// give has a chunk decoded. It waits while all goroutines are busy and a chunk waits already.
func (d *replayDecoder) give(c chunkToDecode) {
	if d.in == nil {
		d.in = make(chan chunkToDecode, 1)
		in := d.in
		for range max(1, min(runtime.GOMAXPROCS(0)-1, maxReplayDecoders)) {
			d.all.Go(func() {
				var l itemList
				for c := range in {
					d.decode(&l, &c)
				}
				d.keep(l)
			})
		}
	}
	d.in <- c
}

// finish decodes the last chunk, if there is one, and waits for the others.
func (d *replayDecoder) finish(last *chunkToDecode) {
	if last != nil {
		var l itemList
		d.decode(&l, last)
		d.keep(l)
	}
	if d.in != nil {
		close(d.in)
		d.all.Wait()
		d.in = nil
	}
}

func (d *replayDecoder) keep(l itemList) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lists = append(d.lists, l)
}

// decode adds the items of a chunk to a list, up to the first commit that does not decode.
func (d *replayDecoder) decode(l *itemList, c *chunkToDecode) {
	var before chunkInfo
	bytes := int64(0)
	for i := range c.commits {
		end := len(c.data)
		if i+1 < len(c.commits) {
			end = c.commits[i+1].start
		}
		n, err := l.decode(c, &c.commits[i], end)
		if err != nil {
			d.fail(&badCommit{placeOf(c.number, c.commits[i].start), before, badRecordAt(c.commits[i].lsn, err)})
			break
		}
		bytes += n
		before.add(&c.commits[i])
	}
	d.bytes.Add(bytes)
}

func (d *replayDecoder) fail(bad *badCommit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bad == nil || bad.at < d.bad.at {
		d.bad = bad
	}
}

// decode adds the items of one commit, whose writes end at end. It returns about how many bytes a table of them needs.
func (l *itemList) decode(c *chunkToDecode, commit *loggedCommit, end int) (bytes int64, err error) {
	rest := c.data[commit.start:end]
	for n := 0; len(rest) > 0; n++ {
		w, after, ok, err := cutWrite(rest)
		if err != nil || !ok {
			return 0, badWrites(n, ok, err)
		}
		l.add(itemOf(w.Key, commit.ts, placeOf(c.number, end-len(rest))))
		l.adds = l.adds || w.Kind == kindAdd
		bytes += int64(len(w.Key)+len(w.Value)) + replayWriteBytes
		rest = after
	}
	return bytes, nil
}

func (l *itemList) add(x replayItem) {
	last := len(l.blocks) - 1
	if last < 0 || len(l.blocks[last]) == cap(l.blocks[last]) {
		l.blocks = append(l.blocks, hugepage.Make[replayItem](min(max(l.count, firstItems), itemBlock))[:0])
		last++
	}
	l.blocks[last] = append(l.blocks[last], x)
	l.count++
}
