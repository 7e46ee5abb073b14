package sender

import (
	"net/netip"
	"slices"

	"github.com/hookanvil/hookanvil/scenarios"
)

// address is a form in which a stranger may write where an endpoint is: most lead to
// the sender's own network by a way that a careless check does not see. 127.0.0.1
// stands for the world outside, where the ordinary endpoints of a run are, and
// 127.0.0.2 and ::1 for what is inside.
type address struct {
	scenarios.Entry
	needs []string
	// listen are the hosts on which a canary listens; none where nothing can.
	listen []string
	// answers are what the stub resolver says, one list for each look-up.
	answers func() [][]netip.Addr
	url     func(at place) string
}

// place is where a canary is: its port, the path to it, and a name for it.
type place struct{ port, path, name string }

type addressTable []address

func (t addressTable) find(name string) (address, bool) {
	i := slices.IndexFunc(t, func(a address) bool { return a.Name == name })
	if i < 0 {
		return address{}, false
	}
	return t[i], true
}

// at makes URLs with a host, and the canary's port.
func at(host string) func(place) string {
	return func(p place) string { return "http://" + host + ":" + p.port + p.path }
}

// alone makes URLs with a host, and the port that the scheme has.
func alone(host string) func(place) string {
	return func(p place) string { return "http://" + host + p.path }
}

var (
	inside   = []string{"127.0.0.2"}
	loopback = []string{"127.0.0.1"}
	inside6  = []string{"::1"}
	second   = []string{"second-loopback"}
	v6       = []string{"ipv6"}
	dns      = []string{"resolver", "second-loopback"}

	outer = netip.MustParseAddr("127.0.0.1")
	inner = netip.MustParseAddr("127.0.0.2")
	own   = netip.IPv6Loopback()
)

// looked are the answers of the resolver, one list for each look-up.
func looked(up ...[]netip.Addr) func() [][]netip.Addr {
	return func() [][]netip.Addr { return up }
}

func byName(p place) string { return at(p.name)(p) }

// addresses are the forms. Each sentence completes "the endpoint is registered ...".
var addresses = addressTable{
	{Entry: word("loopback", "as another address of the sender's own machine, 127.0.0.2"), needs: second, listen: inside, url: at("127.0.0.2")},
	{Entry: word("loopback-v6", "as [::1]"), needs: v6, listen: inside6, url: at("[::1]")},
	{Entry: word("localhost", "as localhost"), listen: loopback, url: at("localhost")},
	{Entry: word("localhost-dot", "as localhost with a dot at the end"), listen: loopback, url: at("localhost.")},
	{Entry: word("subdomain-localhost", "as a name under localhost"), listen: loopback, url: at("api.localhost")},
	{Entry: word("unspecified", "as 0.0.0.0, which leads to the machine itself"), listen: loopback, url: at("0.0.0.0")},
	{Entry: word("unspecified-short", "as 0, which is read as 0.0.0.0"), listen: loopback, url: at("0")},
	{Entry: word("unspecified-v6", "as [::], which leads to the machine itself"), needs: v6, listen: inside6, url: at("[::]")},
	{Entry: word("mapped", "as an IPv4 address within an IPv6 address, [::ffff:127.0.0.2]"), needs: second, listen: inside, url: at("[::ffff:127.0.0.2]")},
	{Entry: word("mapped-hex", "as an IPv4 address within an IPv6 address, in hexadecimal, [::ffff:7f00:2]"), needs: second, listen: inside, url: at("[::ffff:7f00:2]")},
	{Entry: word("decimal", "as one decimal number, 2130706434"), needs: second, listen: inside, url: at("2130706434")},
	{Entry: word("hex", "as one hexadecimal number, 0x7f000002"), needs: second, listen: inside, url: at("0x7f000002")},
	{Entry: word("octal", "in octal, 0177.0.0.2"), needs: second, listen: inside, url: at("0177.0.0.2")},
	{Entry: word("short", "in short form, 127.2"), needs: second, listen: inside, url: at("127.2")},
	{Entry: word("fullwidth", "in fullwidth digits"), needs: second, listen: inside, url: at("１２７.0.0.２")},
	{Entry: word("enclosed", "in enclosed digits"), needs: second, listen: inside, url: at("①②⑦.⓪.⓪.②")},
	{Entry: word("userinfo", "behind a user name that looks like a public host"), needs: second, listen: inside, url: at("127.0.0.1@127.0.0.2")},
	{Entry: word("userinfo-backslash", "behind a backslash, where parsers disagree about the host"), needs: second, listen: inside,
		url: func(p place) string { return `http://127.0.0.2:` + p.port + `\@127.0.0.1` + p.path }},

	{Entry: word("private-10", "as a private address, 10.0.0.1"), url: alone("10.0.0.1")},
	{Entry: word("private-172", "as a private address, 172.16.0.1"), url: alone("172.16.0.1")},
	{Entry: word("private-192", "as a private address, 192.168.0.1"), url: alone("192.168.0.1")},
	{Entry: word("shared", "as an address of carriers' shared networks, 100.64.0.1"), url: alone("100.64.0.1")},
	{Entry: word("link-local", "as the cloud's metadata service, 169.254.169.254"), url: alone("169.254.169.254")},
	{Entry: word("metadata-v6", "as the cloud's metadata service over IPv6, [fd00:ec2::254]"), url: alone("[fd00:ec2::254]")},
	{Entry: word("container-metadata", "as the metadata service of containers, 169.254.170.2"), url: alone("169.254.170.2")},
	{Entry: word("unique-local", "as a private IPv6 address, [fd12:3456:789a::1]"), url: alone("[fd12:3456:789a::1]")},
	{Entry: word("link-local-v6", "as a link-local IPv6 address, [fe80::1]"), url: alone("[fe80::1]")},
	{Entry: word("nat64", "as a private address behind NAT64, [64:ff9b::a00:1]"), url: alone("[64:ff9b::a00:1]")},
	{Entry: word("6to4", "as a private address behind 6to4, [2002:a00:1::]"), url: alone("[2002:a00:1::]")},
	{Entry: word("multicast", "as a multicast address, 224.0.0.1"), url: alone("224.0.0.1")},
	{Entry: word("broadcast", "as the broadcast address, 255.255.255.255"), url: alone("255.255.255.255")},

	{Entry: word("dns-private", "as a name that leads inside"), needs: dns, listen: inside, answers: looked([]netip.Addr{inner}), url: byName},
	{Entry: word("dns-rebind", "as a name that leads outside when it is registered and inside when it is delivered to"), needs: dns, listen: inside,
		answers: looked([]netip.Addr{outer}, []netip.Addr{inner}), url: byName},
	{Entry: word("dns-mixed", "as a name that leads outside and inside at once"), needs: dns, listen: inside, answers: looked([]netip.Addr{outer, inner}), url: byName},
	{Entry: word("dns-v6-only", "as a name that has an IPv6 address only, which leads inside"), needs: []string{"resolver", "ipv6"}, listen: inside6,
		answers: looked([]netip.Addr{own}), url: byName},

	{Entry: word("scheme-file", "with the scheme file"), url: func(p place) string { return "file:///etc/hostname" }},
	{Entry: word("scheme-gopher", "with the scheme gopher"), listen: loopback, url: func(p place) string { return "gopher://127.0.0.1:" + p.port + p.path }},
	{Entry: word("scheme-ftp", "with the scheme ftp"), listen: loopback, url: func(p place) string { return "ftp://127.0.0.1:" + p.port + p.path }},
	{Entry: word("scheme-ws", "with the scheme ws"), listen: loopback, url: func(p place) string { return "ws://127.0.0.1:" + p.port + p.path }},
	{Entry: word("port-ssh", "on the port of SSH"), url: func(p place) string { return "http://127.0.0.1:22" + p.path }},
	{Entry: word("port-smtp", "on the port of SMTP"), url: func(p place) string { return "http://127.0.0.1:25" + p.path }},
	{Entry: word("port-redis", "on the port of Redis"), url: func(p place) string { return "http://127.0.0.1:6379" + p.path }},
}
