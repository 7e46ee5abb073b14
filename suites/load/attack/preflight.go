package attack

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// room is what this machine has for connections; what it does not say is 0.
type room struct {
	files int // that this process may open
	used  int // of them, already
	ports int // for connections to one address
	// reuse is when a port is free again whose connection we closed: "1" at once, "2" at
	// once where the target is on this machine, else after a minute.
	reuse string
}

func roomNow() room {
	reuse, _ := os.ReadFile("/proc/sys/net/ipv4/tcp_tw_reuse")
	return room{files: fileLimit(), used: openFiles(), ports: localPorts(), reuse: strings.TrimSpace(string(reuse))}
}

// ownFiles is how many files a run opens beside its connections, at most: reports, and looks
// at the system.
const ownFiles = 16

// rest is how long a port cannot be used again whose connection this machine closed.
const rest = time.Minute

// Deliverable finds why deliveries of the plan cannot be made: that the profile's payload
// cannot have a size, for one.
func (p Plan) Deliverable(t Target) error {
	o, err := newOrder(t, p.filled(t))
	if err == nil {
		_, err = o.maker(time.Now)
	}
	return err
}

// Shortages says what this machine will run short of if the plan needs all that it may,
// and what to do about it. Closes tells that the target ends each connection after an
// answer. What certainly cannot work is the error.
func (p Plan) Shortages(t Target, closes bool) (warnings []string, err error) {
	return p.filled(t).shortages(t, closes, roomNow())
}

func (p Plan) shortages(t Target, closes bool, r room) (warnings []string, err error) {
	for _, short := range []string{p.shortOfFiles(r), p.shortOfPorts(r)} {
		switch {
		case short == "":
		case p.Closed: // all connections are used at once
			return nil, errors.New(short)
		default:
			warnings = append(warnings, short)
		}
	}
	if short := p.shortOfRest(t, r); closes && !t.HTTP2 && t.Proxy == nil && short != "" {
		warnings = append(warnings, short)
	}
	return warnings, nil
}

func (p Plan) shortOfFiles(r room) string {
	left := r.files - r.used - ownFiles
	if r.files == 0 || p.Connections <= left {
		return ""
	}
	return fmt.Sprintf("the load may open %d connections, and this process has room for %d (of %d files, %d are open): raise the limit (ulimit -n %d), or give --connections %d",
		p.Connections, max(left, 0), r.files, r.used, p.Connections+r.used+ownFiles, max(left, 1))
}

func (p Plan) shortOfPorts(r room) string {
	if r.ports == 0 || p.Connections <= r.ports {
		return ""
	}
	return fmt.Sprintf("the load may open %d connections, and this machine has %d local ports for one address: widen net.ipv4.ip_local_port_range, or give --connections %d",
		p.Connections, r.ports, r.ports)
}

// shortOfRest is for a target that closes its connections: each hit takes a port then,
// which rests for a minute.
func (p Plan) shortOfRest(t Target, r room) string {
	peak, hits := 0.0, 0.0
	for _, s := range p.Stages {
		hits += s.hits()
		for i := range samples + 1 {
			if s.Pacer != nil {
				peak = max(peak, s.Pacer.Rate(s.For*time.Duration(i)/samples))
			}
		}
	}
	lasting := float64(r.ports) / rest.Seconds()
	local := t.Endpoint.Address.Addr().Unmap().IsLoopback()
	switch {
	case r.ports == 0 || p.Closed || r.reuse == "1" || peak <= lasting || !local && hits <= float64(r.ports):
		return ""
	case local && r.reuse == "2":
		return fmt.Sprintf("the target closes each connection: that works on this machine, where ports are free again at once; over a network %d local ports would do for %.0f/s, so have it keep connections open",
			r.ports, lasting)
	}
	return fmt.Sprintf("the target closes each connection, and a local port rests for a minute then: %d of them are used up after %.0f s at %s; have the target keep connections open, or stay below %.0f/s",
		r.ports, float64(r.ports)/peak, inWords(peak), lasting)
}
