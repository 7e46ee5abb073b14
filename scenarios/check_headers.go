package scenarios

import (
	"slices"
	"strings"

	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

func (c *checker) query(n *strictyaml.Node) {
	if n != nil && !query.MatchString(n.Value) {
		c.problem(n, "write it as it stands behind the question mark, percent-encoded", "%s cannot stand in a URL's query", strictyaml.Quote(n.Value))
	}
}

// spoken says how a role's files write what a header must not be used for.
type spoken struct {
	framing  []string // headers that say how a message is framed and routed
	instead  string   // of framing headers
	repeated string   // header
	broken   string   // header line
}

var speech = map[string]spoken{
	"receiver": {
		[]string{"content-length", "transfer-encoding", "host"},
		"use wire for requests that lie about their length or their host",
		"the names of headers have no case; use mutate or wire to send a header twice",
		"use wire or mutate to send malformed headers",
	},
	"sender": {
		[]string{"content-length", "transfer-encoding"},
		"use way for answers that lie about their length, such as length-too-long",
		"the names of headers have no case; use way for answers that say things twice, such as two-lengths",
		"use way for malformed answers, such as nul-in-header",
	},
}

func (c *checker) headers(n *strictyaml.Node) {
	say := speech[c.vocabulary.Role]
	lines := map[string]int{}
	for i, key := range n.Keys {
		folded := strings.ToLower(key.Value)
		first, twice := lines[folded]
		switch {
		case !token.MatchString(key.Value):
			c.problem(key, "a header's name is a token, such as X-Request-Id", "%s is not the name of a header", strictyaml.Quote(key.Value))
		case slices.Contains(say.framing, folded):
			c.problem(key, say.instead, "the header %s cannot be set: it belongs to the connection", key.Value)
		case twice:
			c.problem(key, say.repeated, "the header %s is on line %d already", key.Value, first)
		}
		lines[folded] = key.Line
		c.fieldValue(n.Items[i])
	}
}

// fieldValue refuses what would end a header line: a scenario cannot smuggle
// headers in.
func (c *checker) fieldValue(n *strictyaml.Node) {
	if strings.ContainsAny(n.Value, "\r\n\x00") {
		c.problem(n, speech[c.vocabulary.Role].broken, "%s must not hold a line break or a NUL", n.Name())
	}
}
