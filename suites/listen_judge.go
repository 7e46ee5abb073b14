package suites

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/fixtures/profiles"
	"github.com/hookanvil/hookanvil/fixtures/wire"
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
	likeliest(own, in)
	return append(own, aliased...)
}

// likeliest puts first the profiles whose other headers are there, and of those that
// have as many the ones that others are made after.
func likeliest(rings []keyring, in profile.Incoming) {
	missing := func(r keyring) (n int) {
		for _, h := range r.Plain(profile.Message{}) {
			if !in.Headers.Has(h.Name) {
				n++
			}
		}
		return n
	}
	slices.SortStableFunc(rings, func(a, b keyring) int {
		return cmp.Or(
			missing(a)-missing(b),
			len(b.Plain(profile.Message{}))-len(a.Plain(profile.Message{})),
			index(profiles.Sample(), a.Name)-index(profiles.Sample(), b.Name),
		)
	})
}

// index is the place of a name, behind all others where it is not there.
func index(names []string, name string) int {
	if i := slices.Index(names, name); i >= 0 {
		return i
	}
	return len(names)
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
	var refusal *profile.Refusal
	switch {
	case err == nil:
		f.Verdict, f.Reason = Authentic, k.account(found, now)
	case errors.As(err, &refusal):
		f.Verdict, f.Reason = NotAuthentic, k.explain(in, refusal, now)
	default:
		f.Verdict, f.Reason = NotAuthentic, err.Error()
	}
	return f
}

func (k keyring) account(found profile.Accepted, now time.Time) string {
	text := "signature " + found.Scheme
	if !found.Timestamp.IsZero() {
		text += fmt.Sprintf(", signed %s before", now.Sub(found.Timestamp).Round(time.Second))
	}
	return text
}

// explain says what a refusal probably comes of.
func (k keyring) explain(in profile.Incoming, r *profile.Refusal, now time.Time) string {
	switch r.Reason {
	case profile.Stale, profile.Ahead:
		return k.explainTime(in, r, now)
	case profile.Mismatch, profile.WeakOnly, profile.Malformed, profile.Ambiguous:
		return cmp.Or(k.diagnose(in), r.Detail+afterDetail[r.Reason])
	case profile.Missing:
		return r.Detail + k.otherHeaders(in.Headers)
	}
	return r.Detail
}

// afterDetail is what to do about a refusal that nothing explains.
var afterDetail = map[profile.Reason]string{
	profile.Mismatch:  ", nor does any usual mistake explain them: is --secret the one of this endpoint, and --profile the sender's way of signing?",
	profile.Ambiguous: "; an id must not hold the text that separates it from what is signed next",
}

// otherHeaders tells of a delivery that carries another provider's signature.
func (k keyring) otherHeaders(h wire.Headers) string {
	others, err := Settings{}.signatureJudge(new(vault))
	if err != nil {
		return ""
	}
	fitting := others.fitting(profile.Incoming{Headers: h})
	if len(fitting) == 0 || fitting[0].Name == k.Name {
		return ""
	}
	return fmt.Sprintf("; the headers are those of profile %s: is --profile %s meant?", fitting[0].Name, fitting[0].Name)
}

// explainTime tells of a timestamp that is too far from now. The signature is right.
func (k keyring) explainTime(in profile.Incoming, r *profile.Refusal, now time.Time) string {
	claim, err := k.Read(in)
	at, known := timeOf(k.Profile, claim.Timestamp)
	if err != nil || !known {
		return r.Detail
	}
	off, side, ask := now.Sub(at), "old", "is the sender's clock right, or is this an old delivery, sent again as it was?"
	if off < 0 {
		off, side, ask = -off, "ahead", "is the sender's clock right, and is ours?"
	}
	if hours := off.Round(30 * time.Minute); hours > 0 && hours <= 14*time.Hour && (off-hours).Abs() < time.Minute {
		ask = fmt.Sprintf("that is %s: has the sender taken local time for UTC?", hours)
	}
	return fmt.Sprintf("the signature is right, and its timestamp is %d s %s, of which %d s are allowed: %s",
		int64(off/time.Second), side, int64(k.Timestamp.Tolerance/time.Second), ask)
}

// timeOf is the time that a timestamp stands for.
func timeOf(p *profile.Profile, text string) (time.Time, bool) {
	if p.Timestamp == nil {
		return time.Time{}, false
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	if p.Stamp(time.UnixMilli(n)) == text { // the profile's unit is milliseconds
		return time.UnixMilli(n), true
	}
	return time.Unix(n, 0), true
}
