package sender

import (
	"errors"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profile/diagnosis"
)

// Bounds of diagnosing, which must not take the time that other cases are judged by.
const (
	mostDoubts = 60      // signatures that are diagnosed in a run
	doubtWork  = 8 << 20 // bytes that are hashed for each
	mostOthers = 8       // deliveries of the case whose signature one may carry
)

// diagnosis says what was done where a signature does not verify, to be put behind why
// it does not: for people, since it changes no verdict. Err is that of the attempt's
// active or its next secret. The caller holds mu.
func (t *trial) diagnosis(a *attempt, err error) string {
	if said, known := a.doubts[err]; known {
		return said
	}
	t.doubting.Lock()
	defer t.doubting.Unlock()
	said := ""
	if t.doubted++; t.doubted <= mostDoubts {
		said = worded(diagnosis.Diagnose(t.doubt(a, err)))
	}
	if a.doubts == nil {
		a.doubts = map[error]string{}
	}
	a.doubts[err] = said
	return said
}

func worded(f diagnosis.Finding) string {
	switch f.Verdict {
	case diagnosis.Explained, diagnosis.Untimely, diagnosis.Refused:
		return "; " + f.Sentence
	case diagnosis.Unexplained:
		switch {
		case f.Tried == 0:
		case f.Exhausted:
			return "; the likeliest of the usual mistakes do not explain it"
		default:
			return "; none of the usual mistakes explains it"
		}
	}
	return ""
}

// doubt is an attempt, with the secrets that may have signed it by mistake.
func (t *trial) doubt(a *attempt, err error) diagnosis.Delivery {
	d := diagnosis.Delivery{Incoming: a.incoming(), Profile: t.subject.Profile, Keys: a.delivery.to.keys, At: a.whole, Work: doubtWork}
	wrong := diagnosis.Wrong{Name: "the secret that it is rotated to", Keys: t.subject.Next}
	if errors.Is(err, a.next) && t.subject.Next != nil {
		d.Keys, wrong = t.subject.Next, diagnosis.Wrong{Name: "the secret from before the rotation", Keys: d.Keys}
	}
	if wrong.Keys != nil {
		d.Wrong = append(d.Wrong, wrong)
	}
	for _, e := range t.endpoints {
		if e != a.delivery.to && !sameKeys(e.keys, a.delivery.to.keys) {
			d.Wrong = append(d.Wrong, diagnosis.Wrong{Name: "the secret of endpoint " + e.spec.Name, Keys: e.keys})
		}
	}
	for _, other := range t.deliveries {
		if other != a.delivery && len(other.attempts) > 0 && len(d.Others) < mostOthers {
			d.Others = append(d.Others, other.attempts[0].incoming())
		}
	}
	return d
}

func sameKeys(a, b profile.Keys) bool {
	x, y := secretsOf(a), secretsOf(b)
	return len(x) == len(y) && (len(x) == 0 || x[0] == y[0])
}
