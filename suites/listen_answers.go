package suites

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/hookanvil/hookanvil/fixtures/wire"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// answerScript is what the attempts of each delivery are answered, in order; the
// last answer goes on. Attempts of one delivery are known by its id; what has none
// counts as one delivery.
type answerScript struct {
	atConnect []scriptedAnswer // to the first connections, before anything is read
	answers   []scriptedAnswer

	state *scriptState
}

// scriptState counts attempts, of so many deliveries at the same time.
type scriptState struct {
	mu          sync.Mutex
	connections int
	attempts    map[string]int
	order       []string // of the ids, the oldest first
}

const (
	maxScript  = 1000 // answers in a script
	maxTracked = 4096 // deliveries whose attempts are counted
)

// parseAnswers reads 500,500,200 or hang,drip-body:100,200.
func parseAnswers(text string) (answerScript, error) {
	s := answerScript{state: &scriptState{attempts: map[string]int{}}}
	if strings.TrimSpace(text) == "" {
		text = "200"
	}
	items := strings.Split(text, ",")
	if len(items) > maxScript {
		return s, fmt.Errorf("read --answer: it has %d answers, at most %d will do; the last one goes on", len(items), maxScript)
	}
	for _, item := range items {
		a, err := parseAnswer(strings.TrimSpace(item))
		if err != nil {
			return s, fmt.Errorf("read --answer: %w", err)
		}
		switch {
		case !a.way.AtConnect:
			s.answers = append(s.answers, a)
		case len(s.answers) > 0:
			return s, fmt.Errorf("read --answer: %s acts before a request is read, when it is not known yet which delivery comes; put it first", a)
		default:
			s.atConnect = append(s.atConnect, a)
		}
	}
	return s, nil
}

func parseAnswer(item string) (scriptedAnswer, error) {
	if status, err := strconv.Atoi(item); err == nil {
		if status < 200 || status > 599 {
			return scriptedAnswer{}, fmt.Errorf("%s is no status that ends a request; give one from 200 to 599", strictyaml.Quote(item))
		}
		return scriptedAnswer{status: status}, nil
	}
	name, argument, given := strings.Cut(item, ":")
	way, found := wire.FindAnswerWay(name)
	if !found {
		return scriptedAnswer{}, fmt.Errorf("%s is neither a status nor a way of answering; %s", strictyaml.Quote(item), strictyaml.DidYouMean(name, answerWayNames()))
	}
	a := scriptedAnswer{status: 200, way: way, number: way.Default}
	switch {
	case given && way.Number == "":
		return a, fmt.Errorf("%s takes no number; write %s", strictyaml.Quote(item), name)
	case given:
		n, err := strconv.Atoi(argument)
		if most := mostOf(way); err != nil || n < 1 || n > most {
			return a, fmt.Errorf("%s: the number (%s) must be from 1 to %d", strictyaml.Quote(item), way.Number, most)
		}
		a.number = n
	}
	return a, nil
}

// mostOf bounds the number of a way: what is counted in MiB is summed up before it
// is sent.
func mostOf(way wire.AnswerWay) int {
	if strings.HasPrefix(way.Number, "MiB") {
		return 16 << 10
	}
	return 1 << 20
}

func answerWayNames() []string {
	var names []string
	for _, w := range wire.AnswerWays {
		names = append(names, w.Name)
	}
	return names
}

// connected answers the first connections before anything is read from them.
func (s answerScript) connected(netip.AddrPort, int) *wire.Reply {
	if len(s.atConnect) == 0 {
		return nil
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	n := s.state.connections
	if n >= len(s.atConnect) && len(s.answers) > 0 {
		return nil
	}
	s.state.connections++
	reply := s.atConnect[min(n, len(s.atConnect)-1)].reply(nil)
	return &reply
}

// next is the answer that the next attempt of a delivery will have.
func (s answerScript) next(id string) scriptedAnswer {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.at(s.state.attempts[id])
}

func (s answerScript) at(attempts int) scriptedAnswer {
	if len(s.answers) == 0 {
		return scriptedAnswer{status: 200}
	}
	return s.answers[min(attempts, len(s.answers)-1)]
}

// take is the answer to an attempt, and which attempt that is, from 1.
func (s answerScript) take(id string) (scriptedAnswer, int) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	before := s.state.attempts[id]
	s.state.note(id, before+1)
	return s.at(before), before + 1
}

// note remembers an attempt. The oldest deliveries are forgotten: a flood of ids
// must not fill the memory.
func (s *scriptState) note(id string, attempts int) {
	if attempts == 1 {
		if len(s.order) >= maxTracked {
			delete(s.attempts, s.order[0])
			s.order = s.order[1:]
		}
		s.order = append(s.order, id)
	}
	s.attempts[id] = attempts
}
