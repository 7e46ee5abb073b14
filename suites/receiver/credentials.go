package receiver

// The functions behind the mutations of what a delivery carries, and of where it comes
// from, when nothing is signed.

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/hookanvil/hookanvil/fixtures/profile"
)

// credential is the secret as it stands in the header or in the query, without the name
// of a scheme.
func (d *delivery) credential() string {
	text, err := d.signings[0].Text()
	if err != nil {
		return ""
	}
	return text
}

// parameter is a query parameter with its value.
func parameter(name, value string) string {
	return url.QueryEscape(name) + "=" + url.QueryEscape(value)
}

// carry puts a value in the place of the credential: of the whole header, or of the
// parameter.
func (d *delivery) carry(value string) {
	if name := d.subject.Profile.Signature.Query; name != "" {
		d.secret = parameter(name, value)
		d.retarget()
		return
	}
	if s := d.subject.Profile.Signature; s.InBody() {
		d.request.Body = s.Rewrite(d.request.Body, func(string) *string { return &value })
		return
	}
	d.setHeader(d.signatureHeader(), value)
}

// withScheme changes the name of the scheme, and what stands between it and the secret.
func withScheme(change func(scheme string) string) func(*delivery, any) {
	return func(d *delivery, _ any) {
		scheme := label(d.subject.Profile.Signature.Value)
		d.carry(change(scheme) + d.credential())
	}
}

// userAndPassword changes the two halves of a Basic credential.
func userAndPassword(change func(d *delivery, user, password string) (string, string)) func(*delivery, any) {
	return func(d *delivery, _ any) {
		d.eachCode(func(code []byte) []byte {
			user, password, _ := bytes.Cut(code, []byte(":"))
			u, p := change(d, string(user), string(password))
			return []byte(u + ":" + p)
		})
	}
}

// invented is a text of the same length that nobody has issued.
func invented(d *delivery, like string) string {
	b := []byte(like)
	for i := range b {
		b[i] = "bcdfghjkmnpqrstvwxyz"[d.rand.IntN(20)]
	}
	return string(b)
}

// places are the names under which a careless receiver looks for a secret elsewhere.
func (d *delivery) places() []string {
	names := []string{"access_token", "api_key", "token", "secret"}
	if header := d.subject.Profile.Signature.Header; header != "" {
		names = append(names, strings.ToLower(header))
	}
	return names
}

// credentialInQuery leaves the header out and puts the secret into the query.
func credentialInQuery(d *delivery, _ any) {
	secret := d.credential()
	d.dropSignatures()
	for _, name := range d.places() {
		d.query = strings.Trim(d.query+"&"+parameter(name, secret), "&")
	}
	d.retarget()
}

// credentialInHeader leaves the parameter out and puts the secret into headers.
func credentialInHeader(d *delivery, _ any) {
	secret := d.credential()
	d.dropSignatures()
	d.request.Headers.Add("Authorization", "Bearer "+secret)
	d.request.Headers.Add("X-API-Key", secret)
	d.request.Headers.Add(d.subject.Profile.Signature.Query, secret)
}

// credentialInOtherHeader leaves the header out and puts its value into others.
func credentialInOtherHeader(d *delivery, _ any) {
	value := d.request.Headers.Get(d.signatureHeader())
	d.dropSignatures()
	for _, name := range []string{"Proxy-Authorization", "X-Authorization", "X-Auth-Token"} {
		d.request.Headers.Add(name, value)
	}
}

func credentialInCookie(d *delivery, _ any) {
	secret := d.credential()
	d.dropSignatures()
	var crumbs []string
	for _, name := range d.places() {
		crumbs = append(crumbs, name+"="+secret)
	}
	d.request.Headers.Add("Cookie", strings.Join(crumbs, "; "))
}

func credentialInBody(d *delivery, _ any) {
	secret := d.credential()
	d.dropSignatures()
	var members strings.Builder
	for _, name := range d.places() {
		fmt.Fprintf(&members, "%q:%q,", name, secret)
	}
	d.request.Body = bytes.Replace(d.request.Body, []byte("{"), []byte("{"+members.String()), 1)
}

// secondCredential adds a credential that nobody has issued, before the right one or
// behind it.
func secondCredential(first bool) func(*delivery, any) {
	return func(d *delivery, _ any) {
		p := d.subject.Profile
		wrong := p.Signings(d.Message, p.Forged(d.rand, d.keys))
		if p.Signature.Query == "" {
			lines, err := profile.RenderSignatures(wrong)
			if err == nil {
				d.secondLine(d.signatureHeader(), lines.Get(d.signatureHeader()), first)
			}
			return
		}
		other, err := profile.RenderQuery(wrong)
		switch {
		case err != nil:
		case first:
			d.secret = other + "&" + d.secret
		default:
			d.secret += "&" + other
		}
		d.retarget()
	}
}

// unlisted are addresses of this machine, where it lends all of 127.0.0.0/8.
var unlisted = []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.83.0.7")}

// resembling are addresses whose text begins as that of an admitted one does.
func (s *Subject) resembling() []netip.Addr {
	var list []netip.Addr
	for _, text := range s.Profile.Addresses {
		if a, err := netip.ParseAddr(text + "0"); err == nil && a.Is4() && a.IsLoopback() {
			list = append(list, a)
		}
	}
	return list
}

// stranger is the first of some addresses that is not admitted and that a delivery can
// come from; it is not valid where there is none.
func (s *Subject) stranger(from ...netip.Addr) netip.Addr {
	to := s.Endpoint.Address.Addr().Unmap()
	if len(s.Profile.Addresses) == 0 || !to.Is4() || !to.IsLoopback() {
		return netip.Addr{}
	}
	for _, a := range from {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if err != nil {
			continue
		}
		if l.Close() == nil && !s.Profile.Admits(a) {
			return a
		}
	}
	return netip.Addr{}
}

// claiming comes from elsewhere and says in a header that it comes from an admitted
// address.
func claiming(d *delivery, arg any) {
	d.from = d.subject.stranger(unlisted...)
	name, value, _ := strings.Cut(arg.(string), ":")
	listed, _, _ := strings.Cut(d.subject.Profile.Addresses[0], "/")
	d.request.Headers.Set(name, strings.ReplaceAll(strings.TrimSpace(value), "{listed}", listed))
}

// bareUser is a user name alone, encoded as Basic authentication has it.
func bareUser(d *delivery, _ any) {
	d.eachCode(func(code []byte) []byte {
		user, _, _ := bytes.Cut(code, []byte(":"))
		return user
	})
}

// notEncoded is a Basic credential in clear.
func notEncoded(d *delivery, _ any) {
	code, err := base64.StdEncoding.DecodeString(d.credential())
	if err == nil {
		d.carry(label(d.subject.Profile.Signature.Value) + string(code))
	}
}
