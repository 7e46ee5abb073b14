package receiver

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/profile"
	"github.com/hookanvil/hookanvil/scenarios"
)

// tokenMutations are departures of a signature that is a JSON Web Token. What they change is
// signed anew, unless they say otherwise.
var tokenMutations = mutationTable{
	{wordWith("token", "unsecured", scenarios.Text, "carries a token without a signature, whose algorithm is none, written so"), whileSigning, []string{"token"},
		eachToken(func(_ *delivery, s profile.Signing, t profile.JWT, arg any) (string, error) {
			t.Header["alg"] = arg
			return t.Input() + ".", nil
		})},
	{word("token", "confused", "carries a token that is an HMAC with the text of the public key"), whileSigning, []string{"token-pair"},
		eachToken(func(_ *delivery, s profile.Signing, t profile.JWT, _ any) (string, error) {
			t.Header["alg"] = "HS256"
			return s.Confused(t)
		})},
	{word("token", "tampered", "carries a token whose claims were changed after it was signed"), whileSigning, []string{"token"},
		eachToken(func(d *delivery, s profile.Signing, t profile.JWT, _ any) (string, error) {
			text, err := s.Text()
			return profile.Altered(text, func(t profile.JWT) { shift(t, -time.Second) }), err
		})},
	{word("token", "of-another-body", "carries an honest token that was made for another body"), whileSigning, []string{"token-hash"},
		eachToken(func(_ *delivery, s profile.Signing, _ profile.JWT, _ any) (string, error) {
			s.Body = append([]byte(" "), s.Body...)
			return s.Text()
		})},
	{word("token", "without-hash", "carries a token without the hash of the body"), whileSigning, []string{"token-hash"},
		eachToken(func(_ *delivery, s profile.Signing, t profile.JWT, _ any) (string, error) {
			delete(t.Claims, s.Scheme.HashClaim())
			return s.Issue(t)
		})},

	{word("token", "without-needs", "carries a token without what makes it a delivery, as the same key signs them for other ends"), whileSigning, []string{"token-needs"},
		eachToken(func(_ *delivery, s profile.Signing, t profile.JWT, _ any) (string, error) {
			for _, name := range s.Scheme.Token.Needs {
				delete(t.Claims, name)
			}
			return s.Issue(t)
		})},

	// Its times.
	{word("token", "expired", "carries a token that expired an hour ago"), whileSigning, []string{"token-expiry"},
		retimed(func(p *profile.Profile) time.Duration {
			return -p.Signature.Token.Lifetime - p.Signature.Token.Leeway - time.Hour
		})},
	{word("token", "early", "carries a token that becomes valid in an hour"), whileSigning, []string{"token-start"},
		retimed(func(p *profile.Profile) time.Duration { return p.Signature.Token.Leeway + time.Hour })},
	{word("token", "without-expiry", "carries a token that never expires"), whileSigning, []string{"token-expiry"}, withoutClaim("exp")},

	// Whom it is for, and who says so.
	{word("token", "other-audience", "carries a token that was issued for somebody else"), whileSigning, []string{"token-audience"}, withClaim("aud", "https://elsewhere.example.com/")},
	{word("token", "without-audience", "carries a token that says not whom it is for"), whileSigning, []string{"token-audience"}, withoutClaim("aud")},
	{word("token", "other-issuer", "carries a token of another issuer"), whileSigning, []string{"token-issuer"}, withClaim("iss", "https://issuer.example.com")},
	{word("token", "without-issuer", "carries a token that names no issuer"), whileSigning, []string{"token-issuer"}, withoutClaim("iss")},
	{word("token", "other-account", "carries a token of another account of the same issuer"), whileSigning, []string{"token-account"}, withClaim("email", "stranger@example.iam.gserviceaccount.com")},
	{word("token", "unverified-account", "carries a token whose issuer has not verified the account"), whileSigning, []string{"token-account"}, withClaim("email_verified", false)},

	// Its key, and what its header says besides.
	{wordWith("token", "kid", scenarios.Text, "carries a token of a stranger's key, which it names so"), whileSigning, []string{"token-pair"},
		strangersToken(func(t profile.JWT, s profile.Signing, arg any) { t.Header["kid"] = unescape(arg.(string)) })},
	{word("token", "renamed-key", "carries a token of the right key under another name"), whileSigning, []string{"token-pair"},
		eachToken(func(_ *delivery, s profile.Signing, t profile.JWT, _ any) (string, error) {
			t.Header["kid"] = "another"
			return s.Issue(t)
		})},
	{word("token", "embedded-key", "carries a token of a stranger's key, which stands in its own header"), whileSigning, []string{"token-pair"},
		strangersToken(func(t profile.JWT, s profile.Signing, _ any) { t.Header["jwk"] = s.PublicJWK() })},
	{word("token", "critical", "carries a token that demands an extension which nobody knows"), whileSigning, []string{"token"},
		eachToken(func(_ *delivery, s profile.Signing, t profile.JWT, _ any) (string, error) {
			t.Header["crit"], t.Header["urn:example:limit"] = []string{"urn:example:limit"}, true
			return s.Issue(t)
		})},
	{word("token", "other-type", "carries a token of another type, signed with the same key"), whileSigning, []string{"token-type"},
		eachToken(func(_ *delivery, s profile.Signing, t profile.JWT, _ any) (string, error) {
			t.Header["typ"] = "at+jwt"
			return s.Issue(t)
		})},
}

// eachToken writes each signature anew from the honest token.
func eachToken(write func(d *delivery, s profile.Signing, t profile.JWT, arg any) (string, error)) func(*delivery, any) {
	return func(d *delivery, arg any) {
		for i, s := range d.signings {
			draft, err := s.Draft()
			if err != nil {
				continue // it has none: see the capability token
			}
			if text, err := write(d, s, draft, arg); err == nil {
				d.signings[i].Literal = &text
			}
		}
	}
}

// retimed moves all times of a token.
func retimed(by func(*profile.Profile) time.Duration) func(*delivery, any) {
	return eachToken(func(d *delivery, s profile.Signing, t profile.JWT, _ any) (string, error) {
		shift(t, by(d.subject.Profile))
		return s.Issue(t)
	})
}

func shift(t profile.JWT, by time.Duration) {
	for _, name := range []string{"iat", "nbf", "exp"} {
		number, is := t.Claims[name].(json.Number)
		at, err := number.Int64()
		if is && err == nil {
			t.Claims[name] = json.Number(strconv.FormatInt(at+int64(by/time.Second), 10))
		}
	}
}

func withClaim(name string, value any) func(*delivery, any) {
	return eachToken(func(_ *delivery, s profile.Signing, t profile.JWT, _ any) (string, error) {
		t.Claims[name] = value
		return s.Issue(t)
	})
}

func withoutClaim(name string) func(*delivery, any) {
	return eachToken(func(_ *delivery, s profile.Signing, t profile.JWT, _ any) (string, error) {
		delete(t.Claims, name)
		return s.Issue(t)
	})
}

// strangersToken signs with a key that nobody issued.
func strangersToken(change func(t profile.JWT, s profile.Signing, arg any)) func(*delivery, any) {
	return eachToken(func(d *delivery, s profile.Signing, t profile.JWT, arg any) (string, error) {
		s.Secret = d.subject.Profile.NewKeys(d.rand)[s.Scheme.Name][0]
		change(t, s, arg)
		return s.Issue(t)
	})
}

// tokenCapabilities are what a token may have.
var tokenCapabilities = capabilityTable{
	{word("", "token", "signs with a JSON Web Token"), signsTokens, profileLacks("signs with no token")},
	{word("", "token-pair", "signs tokens with a private key, which they name"),
		func(s *Subject) bool { return s.Profile.Signature.NamesKey() }, profileLacks("signs no token with a private key")},
	{word("", "token-hash", "signs tokens that hold the hash of the body"),
		func(s *Subject) bool { return s.Profile.Signature.HashClaim() != "" }, profileLacks("signs no token that holds the hash of the body")},
	{word("", "token-needs", "signs tokens that hold claims which only its deliveries have"),
		func(s *Subject) bool { return signsTokens(s) && len(s.Profile.Signature.Token.Needs) > 0 }, profileLacks("signs no token that holds claims which only deliveries have")},
	{word("", "token-expiry", "signs tokens that expire"), demands("exp"), profileLacks("signs no token that expires")},
	{word("", "token-start", "signs tokens that say from when they are valid"), demands("nbf"), profileLacks("signs no token that says from when it is valid")},
	{word("", "token-audience", "signs tokens that say whom they are for"), demands("aud"), profileLacks("signs no token that says whom it is for")},
	{word("", "token-issuer", "signs tokens that name their issuer"), demands("iss"), profileLacks("signs no token that names its issuer")},
	{word("", "token-account", "signs tokens that name an account by its address"), demands("email"), profileLacks("signs no token that names an account")},
	{word("", "token-type", "signs tokens that say of what type they are"),
		func(s *Subject) bool { return signsTokens(s) && s.Profile.Signature.Token.Type != "" }, profileLacks("signs no token that says of what type it is")},
}

func signsTokens(s *Subject) bool { return s.Profile.Signature.Token != nil }

func demands(claim string) func(*Subject) bool {
	return func(s *Subject) bool { return s.Profile.Signature.Demands(claim) }
}
