package attack

import (
	"fmt"
	"math"
	"strconv"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Constant is a stage of one rate, in hits per second.
func Constant(rate float64, d time.Duration) Stage {
	return Stage{Pacer: perSecond(rate), For: d, Words: fmt.Sprintf("%s for %s", inWords(rate), span(d))}
}

// Ramp is a stage whose rate goes evenly from one to another.
func Ramp(from, to float64, d time.Duration) Stage {
	return Stage{
		Pacer: ramp{from, to, d}, For: d,
		Words: fmt.Sprintf("%s to %s over %s", inWords(from), inWords(to), span(d)),
	}
}

// Steps is a stage that goes from one rate to another in a number of steps of the same
// length, the first of them above the rate it comes from, and the last the rate it
// goes to.
func Steps(from, to float64, count int, d time.Duration) Stage {
	return Stage{
		Pacer: steps{from, to, count, d}, For: d,
		Words: fmt.Sprintf("%s to %s in %d steps over %s", inWords(from), inWords(to), count, span(d)),
	}
}

// Sine is a stage whose rate swings about a mean.
func Sine(mean, amplitude float64, period, d time.Duration) Stage {
	return Stage{
		Pacer: vegeta.SinePacer{Period: period, Mean: perSecond(mean), Amp: perSecond(amplitude)}, For: d,
		Words: fmt.Sprintf("%s ± %s in waves of %s for %s", inWords(mean), inWords(amplitude), span(period), span(d)),
	}
}

// Closed is a stage in which a hit is due whenever a connection is free.
func Closed(d time.Duration) Stage {
	return Stage{For: d, Words: "as fast as answered for " + span(d)}
}

// perSecond is a rate as vegeta has it: a whole number in some time.
func perSecond(rate float64) vegeta.Rate {
	if rate == math.Trunc(rate) || rate > 1e6 {
		return vegeta.Rate{Freq: int(rate), Per: time.Second}
	}
	return vegeta.Rate{Freq: int(math.Round(rate * 1000)), Per: 1000 * time.Second}
}

func inWords(rate float64) string {
	return strconv.FormatFloat(math.Round(rate*1000)/1000, 'f', -1, 64) + "/s"
}

// span writes a time without the zeroes that time.Duration ends in.
func span(d time.Duration) string {
	text := d.String()
	if n := len(text); n > 2 && text[n-2:] == "0s" && text[n-3] == 'm' {
		text = text[:n-2]
	}
	if n := len(text); n > 2 && text[n-2:] == "0m" && text[n-3] == 'h' {
		text = text[:n-2]
	}
	return text
}

// ramp is a rate that changes evenly. Vegeta's LinearPacer has no way to say where it
// ends, takes a beginning of nothing for no limit, and sends the second hit at once.
type ramp struct {
	from, to float64
	over     time.Duration
}

func (r ramp) Rate(elapsed time.Duration) float64 {
	return r.from + (r.to-r.from)*min(1, float64(elapsed)/float64(r.over))
}

// Pace is when hit number hits+1 is due: where the area under the rate reaches it.
func (r ramp) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	n, seconds := float64(hits+1), r.over.Seconds()
	// from*t + slope*t*t/2 = n, in the form that is exact where the slope is nothing.
	slope := (r.to - r.from) / seconds
	root := r.from*r.from + 2*slope*n
	if root < 0 {
		return 0, true // a falling rate never gets there
	}
	at := 2 * n / (r.from + math.Sqrt(root))
	if math.IsInf(at, 0) || at > seconds {
		return 0, true
	}
	return max(0, time.Duration(at*float64(time.Second))-elapsed), false
}

// steps is a staircase of rates.
type steps struct {
	from, to float64
	count    int
	over     time.Duration
}

// step is the rate of a step, counted from 0.
func (s steps) step(i int) float64 {
	return s.from + (s.to-s.from)*float64(min(i, s.count-1)+1)/float64(s.count)
}

func (s steps) Rate(elapsed time.Duration) float64 {
	return s.step(int(elapsed * time.Duration(s.count) / s.over))
}

func (s steps) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	n, each := float64(hits+1), s.over.Seconds()/float64(s.count)
	for i := range s.count {
		rate := s.step(i)
		if n <= rate*each {
			at := float64(i)*each + n/rate
			return max(0, time.Duration(at*float64(time.Second))-elapsed), false
		}
		n -= rate * each
	}
	return 0, true
}
