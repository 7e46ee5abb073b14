package suites

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profile/diagnosis"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
)

// SignatureVerdict is what is found of a delivery's signature.
type SignatureVerdict string

const (
	Authentic    SignatureVerdict = "authentic"
	NotAuthentic SignatureVerdict = "not-authentic"
	Unverified   SignatureVerdict = "unverified" // there is no profile or no secret to verify it by
	Unsigned     SignatureVerdict = "unsigned"   // the profile signs nothing
)

var signatureVerdicts = []SignatureVerdict{Authentic, NotAuthentic, Unverified, Unsigned}

// Finding is what is found of a delivery's signature, and why.
type Finding struct {
	Verdict SignatureVerdict
	// Reason is a sentence for people. Where the signature is wrong, it says what the
	// sender probably does.
	Reason  string
	Profile string // by which it was read, "" where none fits
}

// judge verifies a delivery as it came.
func (j signatureJudge) judge(in profile.Incoming, now time.Time) Finding {
	in.URL = absolute(in)
	fitting := j.profiles
	if j.named == nil {
		if fitting = j.fitting(in); len(fitting) == 0 {
			return Finding{Verdict: Unverified, Reason: "no profile is given, and the headers are those of none that comes with hookanvil; name one with --profile"}
		}
	}
	findings := make([]Finding, len(fitting))
	for i, ring := range fitting {
		findings[i] = ring.judge(in, now)
		if findings[i].Verdict == Authentic {
			return findings[i]
		}
	}
	found := findings[0]
	if at := slices.IndexFunc(findings, func(f Finding) bool { return f.Verdict == NotAuthentic }); at > 0 {
		found = findings[at]
	}
	if j.named == nil {
		found.Reason += guessed(fitting)
	}
	return found
}

// absolute is the URL that was requested, for signatures that cover it.
func absolute(in profile.Incoming) string {
	if strings.HasPrefix(in.URL, "/") {
		return "http://" + in.Headers.Get("Host") + in.URL
	}
	return in.URL
}

func guessed(rings []keyring) string {
	var names []string
	for _, r := range rings {
		names = append(names, r.Name)
	}
	return fmt.Sprintf(" (no profile is given; the headers are those of %s)", strings.Join(names, " or "))
}

// fitting are the profiles whose signature a delivery carries: those under whose
// own names first, those under other names they may have after.
func (j signatureJudge) fitting(in profile.Incoming) []keyring {
	var own, aliased []keyring
	for _, ring := range j.profiles {
		if !ring.Signed() {
			continue
		}
		header := ring.Signature.Header
		switch {
		case in.Headers.Has(header):
			own = append(own, ring)
		case slices.ContainsFunc(ring.Aliases, func(a profile.Alias) bool { return a.Header == header && in.Headers.Has(a.Also) }):
			aliased = append(aliased, ring)
		}
	}
	likelier := profiles.Likelier(in.Headers)
	slices.SortStableFunc(own, func(a, b keyring) int { return likelier(a.Profile, b.Profile) })
	return append(own, aliased...)
}

func (k keyring) judge(in profile.Incoming, now time.Time) Finding {
	f := Finding{Profile: k.Name}
	if !k.Signed() {
		f.Verdict, f.Reason = Unsigned, "profile "+k.Name+" signs nothing"
		return f
	}
	if k.keys == nil {
		f.Verdict, f.Reason = Unverified, "name the secret with --secret to have the signature verified"
		return f
	}
	found, err := k.Verify(in, k.keys, now)
	if err == nil {
		f.Verdict, f.Reason = Authentic, k.account(found, now)
		return f
	}
	doubtful := diagnosis.Delivery{Incoming: in, Profile: k.Profile, Keys: k.keys, Wrong: k.wrong, At: now, Work: diagnosis.Quick}
	f.Verdict, f.Reason = NotAuthentic, diagnosis.Diagnose(doubtful).Sentence
	return f
}

func (k keyring) account(found profile.Accepted, now time.Time) string {
	text := "signature " + found.Scheme
	if !found.Timestamp.IsZero() {
		text += fmt.Sprintf(", signed %s before", now.Sub(found.Timestamp).Round(time.Second))
	}
	return text
}
