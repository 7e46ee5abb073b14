package sink

import (
	"hash/maphash"
	"math/bits"
	"sync"
)

// ids is an exact set of deliveries, but for the chance that two of them share a
// fingerprint of 64 bits: over ten million, 3 in a million that it happens once. It takes
// 9 bytes a place, and no more than 17 a delivery once there are many; what is beyond the
// most is not taken in.
type ids struct {
	seed   maphash.Seed
	most   int // of one shard
	shards [shardCount]shard
}

const shardCount = 256

// shard is a table with open addressing. A key of 0 is an empty place.
type shard struct {
	sync.Mutex
	keys  []uint64
	notes []uint8
	used  int
}

// The note of a delivery: how often it was attempted, up to mostAttempts, and
const (
	accepted     = 0x80 // it was answered with success
	deferred     = 0x40 // it was refused in an outage, and has not been accepted since
	mostAttempts = 0x3f
)

func newIDs(most int) *ids { return &ids{seed: maphash.MakeSeed(), most: most/shardCount + 1} }

func (s *ids) fingerprint(id []byte) uint64 {
	return max(maphash.Bytes(s.seed, id), 1)
}

// change has f change the note of a delivery, 0 where it is new. It is false where there
// is no place for another.
func (s *ids) change(key uint64, f func(note uint8) uint8) bool {
	sh := &s.shards[key>>56]
	sh.Lock()
	defer sh.Unlock()
	at, found := sh.find(key)
	if !found {
		if sh.used >= s.most {
			return false
		}
		if (sh.used+1)*8 > len(sh.keys)*7 {
			sh.grow()
			at, _ = sh.find(key)
		}
		sh.keys[at] = key
		sh.used++
	}
	sh.notes[at] = f(sh.notes[at])
	return true
}

// find is the place of a key, or the one where it would be.
func (sh *shard) find(key uint64) (at int, found bool) {
	n := len(sh.keys)
	if n == 0 {
		return 0, false
	}
	place, _ := bits.Mul64(key<<8, uint64(n)) // the top bits have chosen the shard
	for at = int(place); sh.keys[at] != 0; {
		if sh.keys[at] == key {
			return at, true
		}
		if at++; at == n {
			at = 0
		}
	}
	return at, false
}

// grow makes half as many places more.
func (sh *shard) grow() {
	keys, notes := sh.keys, sh.notes
	n := max(64, len(keys)*3/2)
	sh.keys, sh.notes = make([]uint64, n), make([]uint8, n)
	for i, key := range keys {
		if key != 0 {
			at, _ := sh.find(key)
			sh.keys[at], sh.notes[at] = key, notes[i]
		}
	}
}

// bytes is how much memory the set takes.
func (s *ids) bytes() (n int64) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.Lock()
		n += int64(len(sh.keys)) * 9
		sh.Unlock()
	}
	return n
}

// sequence is which numbers of a sequence have come: a bit each, in pages.
type sequence struct {
	pages         map[uint64]*[pageWords]uint64
	low, high     uint64
	last          uint64
	distinct      int64
	backwards     int64
	repeated      int64
	begun, beyond bool // beyond: more numbers, or further apart, than can be kept
}

const (
	pageWords = 1 << 10
	pageBits  = pageWords * 64
	mostPages = 1 << 11 // of one endpoint: 16 MiB, 134 million numbers
)

func (s *sequence) note(n uint64) {
	if !s.begun {
		*s = sequence{pages: map[uint64]*[pageWords]uint64{}, low: n, high: n, begun: true}
	} else if n < s.last {
		s.backwards++
	}
	s.last = max(s.last, n)
	page := s.pages[n/pageBits]
	if page == nil {
		if len(s.pages) == mostPages {
			s.beyond = true
			return
		}
		page = new([pageWords]uint64)
		s.pages[n/pageBits] = page
	}
	word, bit := n%pageBits/64, uint64(1)<<(n%64)
	if page[word]&bit != 0 {
		s.repeated++
		return
	}
	page[word] |= bit
	s.low, s.high = min(s.low, n), max(s.high, n)
	s.distinct++
}

// missing are the numbers between the lowest and the highest that have not come.
func (s *sequence) missing() int64 {
	if !s.begun {
		return 0
	}
	return int64(s.high-s.low) + 1 - s.distinct
}
