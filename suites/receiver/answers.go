package receiver

import "github.com/hookanvil/hookanvil/reports"

// judgeDueAcknowledgement looks at the form of an answer, where the delivery was taken.
func judgeDueAcknowledgement(t *trial, s []seen, _ any) finding {
	if f := judgeAccepted(t, s[0]); f.verdict != reports.Pass {
		return inconclusive("the delivery was not accepted: %s", f.reason)
	}
	for _, r := range s[0].readings {
		got := r.Responses[0]
		if why := t.subject.Profile.Answers.Success.Departs(got.Headers, got.Body); why != "" {
			return failed("%s %s", r.phrase, why)
		}
	}
	return passed()
}

func judgeDueStatus(t *trial, s []seen, _ any) finding {
	due := t.subject.Profile.Answers.Refusal
	return judgeRefusals(s[0], func(r reading) finding {
		if !due.Will(r.Responses[0].Status) {
			return failed("%s, where %s is due", r.phrase, due.Status)
		}
		return passed()
	})
}

// judgeDueForm leaves it to another expectation by which status it is refused.
func judgeDueForm(t *trial, s []seen, _ any) finding {
	return judgeRefusals(s[0], func(r reading) finding {
		got := r.Responses[0]
		if why := t.subject.Profile.Answers.Refusal.Departs(got.Headers, got.Body); why != "" {
			return failed("%s %s", r.phrase, why)
		}
		return passed()
	})
}

// judgeRefusals looks at the answers that refuse a delivery; what is no refusal is of no
// form that would do.
func judgeRefusals(s seen, look func(reading) finding) finding {
	if f := judgeRejected(s); f.verdict != reports.Pass {
		return f
	}
	all := make([]finding, len(s.readings))
	for i, r := range s.readings {
		all[i] = look(r)
	}
	return worst(all...)
}
