package scenarios

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// Instant is a time relative to the moment of sending: so many of the profile's
// tolerances later, and some more. The zero Instant is that moment itself.
type Instant struct {
	Tolerances int
	Shift      time.Duration
}

// Offset is how long after the moment of sending it is.
func (i Instant) Offset(tolerance time.Duration) time.Duration {
	return time.Duration(i.Tolerances)*tolerance + i.Shift
}

// maxTolerances keeps the sum of an Instant far from overflowing.
const maxTolerances = 10

var (
	instant = regexp.MustCompile(`^now([-+](tolerance|[0-9][0-9a-z.]*))*$`)
	term    = regexp.MustCompile(`[-+][^-+]+`)
)

// ParseInstant reads "now" with tolerances and durations added or subtracted:
// now-24h, now-tolerance+2s. Empty text means now.
func ParseInstant(text string) (Instant, error) {
	var at Instant
	if text == "" {
		return at, nil
	}
	if !instant.MatchString(text) {
		return at, fmt.Errorf("a time is written as now, with durations or the word tolerance added or subtracted: now-24h, now-tolerance+2s")
	}
	for _, t := range term.FindAllString(text, -1) {
		if err := at.add(t); err != nil {
			return Instant{}, err
		}
	}
	return at, nil
}

func (i *Instant) add(term string) error {
	sign := 1
	if term[0] == '-' {
		sign = -1
	}
	if term[1:] == "tolerance" {
		i.Tolerances += sign
	} else {
		d, err := strictyaml.ParseDuration(term[1:])
		if err != nil {
			return fmt.Errorf("%s: %w", strings.TrimLeft(term, "+-"), err)
		}
		i.Shift += time.Duration(sign) * d
	}
	if i.Tolerances > maxTolerances || i.Tolerances < -maxTolerances || i.Shift.Abs() > strictyaml.MaxDuration {
		return fmt.Errorf("a time is at most %d tolerances and %dh away", maxTolerances, int(strictyaml.MaxDuration.Hours()))
	}
	return nil
}
