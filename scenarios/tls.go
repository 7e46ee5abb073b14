package scenarios

import (
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// TLS is how the connection of a delivery to a receiver is made, where it is not
// made as the run's own are. It may be empty: an ordinary connection with TLS.
type TLS struct {
	// Certificate is one word of the vocabulary: expired, none.
	Certificate string `yaml:"certificate" words:"certificates" doc:"the client certificate that is shown; the run's own unless said otherwise"`
	Version     string `yaml:"version" enum:"tls1.0,tls1.1,tls1.2,tls1.3" doc:"the only version that is offered"`
	Ciphers     string `yaml:"ciphers" words:"ciphers" doc:"the only cipher suites that are offered"`
	ServerName  string `yaml:"server-name" enum:"none,other" doc:"the name that is asked for (SNI): none at all, or another one"`
	// Protocols are offered by ALPN, the preferred one first.
	Protocols []string `yaml:"protocols" doc:"application protocols that are offered (ALPN)"`
	Resume    string   `yaml:"resume" doc:"resume the session of that step"`
	Plain     bool     `yaml:"plain" doc:"speak plain HTTP on the port that speaks TLS"`
}

// EndpointTLS makes an endpoint of the harness one that speaks TLS, on a port of its
// own. It may be empty: a good certificate, and none asked for.
type EndpointTLS struct {
	// Certificate are words of the vocabulary, one for each connection; the last one
	// goes on.
	Certificate []string `yaml:"certificate" words:"certificates" doc:"the certificate that it shows, or a list: one for each connection, the last goes on; a good one unless said otherwise"`
	Version     string   `yaml:"version" enum:"tls1.0,tls1.1,tls1.2,tls1.3" doc:"the newest version that it speaks"`
	Ciphers     string   `yaml:"ciphers" words:"ciphers" doc:"the only cipher suites that it speaks"`
	Client      string   `yaml:"client" enum:"asked,required" doc:"whether it asks the sender for a certificate, or demands one"`
	Host        string   `yaml:"host" enum:"address,name" doc:"whether its URL has an address or a name; an address unless said otherwise"`
	// Identity is a fault of the client certificate that the sender is given, where it
	// takes one for each endpoint.
	Identity string `yaml:"identity" enum:"none,expired,other-key" doc:"the client certificate that the sender is given for it, where it takes one for each endpoint: none, or one with a fault; a good one unless said otherwise"`
}

// secured checks how a delivery's connection is made; lines holds the names of the
// steps so far.
func (c *checker) secured(n *strictyaml.Node, lines map[string]int, steps Steps) {
	if n == nil {
		return
	}
	c.reference(n.Get("resume"), "resume", lines, steps)
	c.certificates(n)
	for _, key := range n.Keys {
		if n.Get("plain") != nil && key.Value != "plain" {
			c.problem(key, "plain HTTP has nothing of that; remove the one or the other", "%s cannot stand beside plain", key.Value)
		}
	}
	for _, p := range items(n.Get("protocols")) {
		if p.Value == "" || len(p.Value) > 255 {
			c.problem(p, "write it as it is registered: http/1.1, h2", "a protocol's name has from 1 to 255 bytes")
		}
	}
	c.distinct(items(n.Get("protocols")))
}

// certificates checks the words that both roles' connections are described by.
func (c *checker) certificates(n *strictyaml.Node) {
	for _, word := range items(n.Get("certificate")) {
		c.known(word, "certificate", names(c.vocabulary.Certificates))
	}
	if ciphers := n.Get("ciphers"); ciphers != nil {
		c.known(ciphers, "set of cipher suites", names(c.vocabulary.Ciphers))
	}
}

// elsewise are the keys of an endpoint that say where it is in another way.
var elsewise = []string{"address", "dark"}

// secureEndpoint checks an endpoint that speaks TLS.
func (c *checker) secureEndpoint(n, endpoint *strictyaml.Node) {
	if n == nil {
		return
	}
	for _, key := range endpoint.Keys {
		if slices.Contains(elsewise, key.Value) {
			c.problem(key, "write an endpoint for each", "%s cannot stand beside tls", key.Value)
		}
	}
	c.certificates(n)
	if identity := n.Get("identity"); identity != nil && n.Get("client") == nil {
		c.problem(identity, "add client: asked or client: required", "the sender is given a certificate that nobody asks it for")
	}
	if list := n.Get("certificate"); list != nil && list.Kind == strictyaml.List {
		c.count(list, len(list.Items), maxAnswers)
	}
}

// TLSVersion is the number of a version in the records of the protocol, 0 for none.
func TLSVersion(name string) uint16 {
	minor, ok := strings.CutPrefix(name, "tls1.")
	if !ok {
		return 0
	}
	return 0x0301 + uint16(minor[0]-'0')
}
