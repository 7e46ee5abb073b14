package sender

import (
	"encoding/json"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
)

// tokenExpectations look at signatures that are JSON Web Tokens.
var tokenExpectations = expectationTable{
	{Entry: word("token-claims", "puts into its token every claim that the profile names, and what is due there"), needs: []string{"secret", "token"}, judge: each(judgeTokenClaims)},
	{Entry: word("token-header", "says in the header of its token by which algorithm and, where there are several, with which key it was signed, and brings no key along"), needs: []string{"secret", "token"}, judge: each(judgeTokenHeader)},
	{Entry: word("token-life", "gives its token the life that the profile names, and no longer one"), needs: []string{"token-expiry"}, judge: each(judgeTokenLife)},
}

// tokenOf is the token of an attempt.
func tokenOf(t *trial, a *attempt) (claim profile.Claim, token profile.JWT, problem finding) {
	claim, err := t.subject.Profile.Read(a.incoming())
	if err != nil {
		return claim, token, failed("its token cannot be read: %s", err)
	}
	token, err = profile.ReadJWT(claim.Offers[0].Text)
	if err != nil {
		return claim, token, failed("its token cannot be read: %s", err)
	}
	return claim, token, passed()
}

// faultsOf are the faults of the token under the endpoint's secrets: those under the one
// that fits best.
func faultsOf(t *trial, a *attempt, claim profile.Claim) (least []profile.Fault) {
	in := a.incoming()
	m := profile.Message{ID: claim.ID, Timestamp: claim.Timestamp, Event: claim.Event, Method: in.Method, URL: in.URL, Headers: in.Headers, Body: in.Body}
	offer := claim.Offers[0]
	for i, secret := range t.subject.Profile.KeysOf(offer.Scheme, a.delivery.to.keys) {
		if found := offer.Scheme.Faults(m, secret, offer.Text); i == 0 || len(found) < len(least) {
			least = found
		}
	}
	return least
}

func judgeTokenClaims(t *trial, a *attempt, _ any) finding {
	claim, _, problem := tokenOf(t, a)
	if problem != passed() {
		return problem
	}
	for _, f := range faultsOf(t, a, claim) {
		if f.Kind == profile.FaultAbsent || f.Kind == profile.FaultClaim {
			return failed("%s", f.Detail)
		}
	}
	return passed()
}

// keysAlong are the members of a header that bring a key along, or say where one is.
var keysAlong = []string{"jwk", "jku", "x5c", "x5u"}

func judgeTokenHeader(t *trial, a *attempt, _ any) finding {
	claim, token, problem := tokenOf(t, a)
	if problem != passed() {
		return problem
	}
	for _, f := range faultsOf(t, a, claim) {
		switch f.Kind {
		case profile.FaultUnsecured, profile.FaultConfused, profile.FaultAlgorithm, profile.FaultKey, profile.FaultCritical, profile.FaultType:
			return failed("%s", f.Detail)
		}
	}
	for _, name := range keysAlong {
		if token.Header[name] != nil {
			return failed("the token's header brings a key along, or says where one is: it has %s, which a receiver must not believe", name)
		}
	}
	return passed()
}

func judgeTokenLife(t *trial, a *attempt, _ any) finding {
	claim, token, problem := tokenOf(t, a)
	if problem != passed() {
		return problem
	}
	declared := t.subject.Profile.Signature.Token
	switch _, is := token.Claims["exp"].(json.Number); {
	case !is:
		return failed("the token has no claim exp that is a time")
	case !claim.Expires.After(a.arrived):
		return failed("the token had expired at %s, when it arrived", claim.Expires.UTC().Format(time.RFC3339))
	case claim.Expires.Sub(a.arrived) > declared.Lifetime+max(declared.Leeway, time.Minute):
		return failed("the token lives until %s, and %s after it was sent is declared", claim.Expires.UTC().Format(time.RFC3339), declared.Lifetime)
	}
	return passed()
}
