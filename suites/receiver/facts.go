package receiver

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// calledOtherwise has the body name another endpoint, and returns the subject as it would
// be if it were that.
func (d *delivery) calledOtherwise(text string) *Subject {
	other := *d.subject
	name, own := other.Profile.Named()
	text = strings.NewReplacer("{another}", another(own, d.rand), "{own}", own).Replace(text)
	other.Profile = other.Profile.WithFact(name, text)
	d.Body = []byte(other.Profile.Fill(d.template, d.Message))
	return &other
}

// another is a name of the same form: with other digits where it has some, as the numbers
// of accounts are.
func another(name string, r *rand.Rand) string {
	from, to := longestNumber(name)
	if from == to {
		return fmt.Sprintf("%s-%08x", name, r.Uint32())
	}
	digits := []byte(name[from:to])
	for i, c := range digits {
		digits[i] = '0' + (c-'0'+byte(1+r.IntN(9)))%10
	}
	return name[:from] + string(digits) + name[to:]
}

// longestNumber is where the longest run of digits stands, the first of them.
func longestNumber(text string) (from, to int) {
	for i := 0; i < len(text); i++ {
		end := i
		for end < len(text) && '0' <= text[end] && text[end] <= '9' {
			end++
		}
		if end-i > to-from {
			from, to = i, end
		}
		i = max(i, end-1)
	}
	return from, to
}

// untold says what the deliveries name the endpoint, which is invented where nobody has
// told it: a receiver that looks at it refuses them all until then.
func (t *trial) untold() string {
	var told []string
	for _, f := range t.subject.Profile.Facts {
		told = append(told, fmt.Sprintf("its %s is %s: if the receiver's own is another, tell it with --fact %s=...", f.Name, f.Value, f.Name))
	}
	if len(told) == 0 {
		return ""
	}
	return "; " + strings.Join(told, "; ")
}
