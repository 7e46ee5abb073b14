package attack

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/wire"
)

func TestShortages(t *testing.T) {
	const reused, rests, local, far = "1", "0", "127.0.0.1:80", "192.0.2.1:80"
	open := func(rate float64, d time.Duration) Plan { return Plan{Stages: []Stage{Constant(rate, d)}} }
	closed := Plan{Closed: true, Stages: []Stage{Closed(time.Minute)}}
	few, many := closed, open(10, time.Minute)
	few.Connections, many.Connections = 8, 4096
	plenty := room{files: 1 << 20, used: 10, ports: 28_232, reuse: "2"}
	with := func(change func(r *room)) room {
		r := plenty
		change(&r)
		return r
	}
	for _, tt := range []struct {
		name   string
		plan   Plan
		at     string
		closes bool
		room   room
		warns  string // or says why it is refused
		fails  bool
	}{
		{"plenty", open(2000, time.Minute), far, false, plenty, "", false},
		{"nothing known", open(2000, time.Minute), far, true, room{}, "", false},

		{"few files", open(10, time.Minute), far, false, with(func(r *room) { r.files = 64 }), "this process has room for 38 (of 64 files, 10 are open): raise the limit (ulimit -n 282), or give --connections 38", false},
		{"few files for a closed load", closed, far, false, with(func(r *room) { r.files = 50 }), "ulimit -n 58", true},
		{"enough for a closed load", few, far, false, with(func(r *room) { r.files = 50 }), "", false},
		{"no file at all", few, far, false, with(func(r *room) { r.files = 11 }), "has room for 0", true},

		{"few ports", many, far, false, with(func(r *room) { r.ports = 101 }), "this machine has 101 local ports", false},
		{"few ports for a closed load", closed, far, false, with(func(r *room) { r.ports = 20 }), "give --connections 20", true},

		{"the target closes", open(2000, time.Minute), far, true, plenty, "28232 of them are used up after 14 s at 2000/s; have the target keep connections open, or stay below 471/s", false},
		{"the target closes, and is slow enough", open(400, time.Minute), far, true, plenty, "", false},
		{"the target closes, for a moment", open(2000, 10*time.Second), far, true, plenty, "", false},
		{"the target closes, and ports are used again", open(2000, time.Minute), far, true, with(func(r *room) { r.reuse = reused }), "", false},
		{"the target closes, here", open(2000, time.Second), local, true, plenty, "that works on this machine", false},
		{"the target closes, here, where ports rest", open(2000, time.Minute), local, true, with(func(r *room) { r.reuse = rests }), "are used up after 14 s", false},
		{"a peak", Plan{Stages: []Stage{Constant(10, time.Minute), Constant(3000, time.Minute)}}, far, true, plenty, "at 3000/s", false},
	} {
		target := Target{Profile: &profile.Profile{}, Endpoint: wire.Endpoint{Address: netip.MustParseAddrPort(tt.at)}}
		plan := tt.plan.filled(target)
		warnings, err := plan.shortages(target, tt.closes, tt.room)
		said := strings.Join(warnings, "; ")
		if err != nil {
			said = err.Error()
		}
		if (err != nil) != tt.fails || !strings.Contains(said, tt.warns) || tt.warns == "" && said != "" {
			t.Errorf("%s: %q, error %v; want %q", tt.name, warnings, err, tt.warns)
		}
	}
}
