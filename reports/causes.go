package reports

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
)

// cause is a mistake that is made once and found by many cases, of which each speaks of
// what it has sent: who reads them one by one looks for as many mistakes.
type cause struct {
	role string
	// in are the suites that it must prevail in: those in which little else would come out
	// so. Where there are none, it is all that were run.
	in []string
	// only says that it is behind nothing in other suites.
	only bool
	// unjudged says that what could not be judged tells of it as well.
	unjudged bool
	shape    *regexp.Regexp // of the reasons
	says     string         // completes "the receiver ..." or "the sender ..."
	repair   string
}

// Bounds of a suspicion: fewer findings are told one by one, and where less than this
// share of what was judged is so there are several mistakes, or another one.
const (
	fewestOfCause = 5
	shareOfCause  = 0.5
)

// forgeries are the suites in which hardly a case is about anything but who has sent
// a delivery.
var forgeries = []string{"receiver/signature", "receiver/authentication", "receiver/token", "receiver/message"}

// honestly is the shape of what was found of honest deliveries, by the cases that are about
// them and by those of which they are the controls.
func honestly(answer string) *regexp.Regexp {
	return regexp.MustCompile(`^(?:the honest delivery before it was not accepted: |an honest delivery was not accepted: |the delivery (?:it builds on )?was not accepted: |` +
		`a delivery stamped \S+ from now was neither accepted nor refused: )?` + answer)
}

// causes come in the order of what explains the more. What an earlier one may be behind, a
// later one is not suspected of.
var causes = []cause{
	{
		role: "receiver", in: forgeries, shape: regexp.MustCompile(`^it was accepted: [^,]*(?:, and took effect .*)?$|^a delivery stamped .* is still accepted`),
		says: "accepts deliveries whoever has signed them: nothing verifies them, or the outcome is not looked at",
		repair: "Verify each delivery before anything else, over the bytes of the body as they arrive, and answer 401 and stop there where that fails. " +
			"See that this code runs at all: that the route is behind it, that no test mode or missing secret turns it off, and that its outcome is asked for. " +
			"If it does, and says no in the body alone, have it answer 401, or tell how it says no: --reject '200:TEXT'.",
	},
	{
		role: "receiver", in: forgeries, shape: regexp.MustCompile(`, yet it took effect `),
		says: "acts on what it refuses: the answer is no, and the work is done all the same",
		repair: "Verify before you act. Do nothing with a delivery until it is verified, not in a queue, a database or a task in the background either; " +
			"where it is refused, return at once: often the return behind the answer is missing.",
	},
	{
		role: "receiver", in: forgeries, shape: regexp.MustCompile(`^(?:it was accepted: )?answered 2.*, though no effect was seen`),
		says: "answers 2xx to forgeries on which it does not act: it acknowledges before it verifies, or says no in the body alone",
		repair: "Verify first and answer afterwards: 401 to what is not signed as it should be, 2xx to the rest. " +
			"Where it must say no with a status 2xx, tell how it does: --reject '200:TEXT'.",
	},
	{
		role: "receiver", in: forgeries, shape: regexp.MustCompile(`^answered 5\d\d .*: a sender takes that for a failure`),
		says: "breaks down over deliveries that it is to refuse: it answers 5xx",
		repair: "Catch what verifying throws, and answer 401 to it. Often a comparison or a decoder raises an exception for a signature that is wrong, " +
			"and a handler of errors makes a 500 of it.",
	},
	{
		role: "receiver", in: []string{"receiver/timestamp"}, only: true, shape: regexp.MustCompile(`^it was accepted: |^a delivery stamped .* is still accepted`),
		says:   "does not look at when a delivery was signed: it accepts any timestamp",
		repair: "After the signature has been verified, read the signed timestamp, demand that it is a plain number, and answer 401 where it is further from now than the tolerance, in seconds and in both directions.",
	},
	{
		role: "receiver", unjudged: true, shape: regexp.MustCompile(honestly(`answered (?:400|401|403|422)[^,;]*(?:;.*)?$`).String() + `|^the honest delivery before it was not accepted$`),
		says: "refuses honest deliveries as well, so that it cannot be told what it verifies",
		repair: "First make sure that --profile, --secret and --target are those of this receiver: to one that has another secret, everything is forged. " +
			"If they are, it mostly verifies other bytes than arrive (a body that was parsed and written anew), or with a secret that it has not decoded: look at its log for the first of these requests.",
	},
	{
		role: "receiver", unjudged: true, shape: honestly(`answered (?:404|405|410|501)`),
		says:   "has no endpoint for deliveries at this address: it answers 404, 405 or the like to honest ones",
		repair: "Name the very URL of the endpoint in --target, with its path and scheme, and see that the route takes POST.",
	},
	{
		role: "receiver", unjudged: true, shape: honestly(`answered 3\d\d`),
		says:   "answers honest deliveries with a redirect, which senders do not follow",
		repair: "Name the URL in --target that the redirect leads to: mostly the one with https, with another host name, or with or without a slash at its end. A page to log in on is no place for a webhook: take the route out of what demands a session.",
	},
	{
		role: "receiver", unjudged: true, shape: honestly(`answered 429`),
		says:   "limits the rate of honest deliveries: it answers 429",
		repair: "Raise the limit for the test, or send less at the same time: --parallel 1. Where a proxy is in front of it, look at its limits as well.",
	},
	{
		role: "receiver", unjudged: true, shape: honestly(`answered 5\d\d`),
		says:   "breaks down over honest deliveries: it answers 5xx",
		repair: "Look at its log for the first of these requests: an exception, a database or a queue that is not there, or a secret that is not set.",
	},
	{
		role: "receiver", unjudged: true, shape: honestly(`answered 2.* after .*, later than the .* allowed`),
		says:   "does its work before it answers, for longer than the sender waits",
		repair: "Verify, put the delivery where it survives a crash, answer 2xx, and work afterwards. Where the sender waits longer than the profile says, name the time: --ack-deadline.",
	},
	{
		role: "receiver", unjudged: true, shape: honestly(`answered 2.*, but no effect was seen`),
		says:   "acknowledges honest deliveries, and nothing comes of them that the probe counts",
		repair: "Ask the probe by hand after a delivery (hookanvil send): mostly it counts something else, or by another id than {token} stands for. If it is right, what was acknowledged is lost.",
	},
	{
		role: "receiver", unjudged: true, shape: regexp.MustCompile(`^the target could not be reached when the run began: `),
		says:   "could not be reached, and so nothing was judged",
		repair: "Start it, and make sure that it listens where --target says: scheme, host, port, and the address inside a container. Try the same URL with curl from this machine.",
	},
	{
		role: "receiver", unjudged: true, shape: regexp.MustCompile(honestly(`it was not answered: `).String() + `|^the target stopped serving|neither accepted nor refused: connection failed`),
		says: "stopped answering while the run went on",
		repair: "Look for what ended it: a crash, a deadlock, or connections and workers that were used up. Its log tells at which request; " +
			"the cases that found that it stopped serving name the one before. No request may end more than itself.",
	},
	{
		role: "sender", in: []string{"sender/signature"}, shape: regexp.MustCompile(`(?:does not verify|do not verify|cannot be read|has signed it)\b.*: missing: there is no (?:signature|token|query)|stands there 0 times$`),
		says:   "signs nothing, or does not send the signature along where the profile has it",
		repair: "Sign each attempt with the endpoint's secret, and set the header that the profile names (hookanvil profiles NAME shows it, with an example). If it does sign, see that no client, proxy or setting drops the header.",
	},
	{
		role: "sender", in: []string{"sender/signature"}, shape: regexp.MustCompile(`(?:does not verify|has signed it): .*: the sender must sign the very bytes that it sends`),
		says:   "signs another body than it sends",
		repair: "Make the bytes of the body once, sign these, and send these: nothing may write the JSON anew, add a line end or change the charset after that, a client that takes an object for the body included.",
	},
	{
		role: "sender", in: []string{"sender/signature"}, shape: regexp.MustCompile(`(?:stale|ahead): it was signed at |its timestamp is \S+ off the time`),
		says:   "signs with a time that is not now",
		repair: "Take the time in UTC, in the unit of the profile, for each attempt anew when it is sent, and keep the clock by NTP. A difference of whole hours is mostly a time zone.",
	},
	{
		role: "sender", in: []string{"sender/signature"}, shape: regexp.MustCompile(`(?:not verify|signed it)\b.*: (?:mismatch|malformed|weak|repeated|ambiguous): |^[^:]*: it is signed with `),
		says:   "signs, and a receiver cannot verify it: the secret, what is signed or how it is written is another",
		repair: "Do what the finding says behind its semicolon: there stands what was done instead. Where it explains nothing, compare the secret and how it is decoded, then what is signed, with the profile (hookanvil profiles NAME).",
	},
	{
		role: "sender", in: []string{"sender/isolation", "sender/response"}, shape: regexp.MustCompile(`is an? [A-Z]+: a receiver awaits a POST$|: the method is [A-Z]+$`),
		says:   "delivers by another method than POST",
		repair: "Set the method of the HTTP client to POST, for the first attempt and for every one that follows.",
	},
	{
		role: "sender", unjudged: true, shape: regexp.MustCompile(`^the event could not be fired: |^the endpoint could not be registered: |^the sender did not register the endpoint `),
		says:   "takes no endpoint or no event from us, and so nothing was judged",
		repair: "Try the commands or requests of --register and --trigger by hand: the finding has its answer. Mostly the address, a token (--hook-header) or a field of the body is wrong.",
	},
	{
		role: "sender", unjudged: true, shape: regexp.MustCompile(`nothing arrived at the endpoint within|of \d+ events did not arrive at the endpoint|was not delivered either: `),
		says: "was told of events, and does not deliver them to the endpoint",
		repair: "Look at its log of deliveries. Mostly it cannot reach the address (name it with --listen and --public-url where it runs in a container or elsewhere), " +
			"refuses addresses on this machine, or was not told of the endpoint.",
	},
}

// suspicion is a cause, with what it may be behind.
type suspicion struct {
	cause
	results []Result
	suites  int
	of      int // findings of the run
}

// suspicions are the causes that may be behind much of what the run found.
func (r *Run) suspicions() (all []suspicion) {
	left := having(r.Results, func(r Result) bool { return r.asks() })
	of := len(left)
	for _, c := range causes {
		if c.role != r.Subject.Role {
			continue
		}
		s := suspicion{cause: c, results: having(left, c.tells), of: of}
		if len(s.results) < fewestOfCause || !c.prevails(r.Results) {
			continue
		}
		s.suites = len(bySuite(s.results))
		all = append(all, s)
		left = having(left, func(r Result) bool { return !c.tells(r) })
	}
	return all
}

// asks tells whether a result asks for something.
func (r Result) asks() bool {
	v := r.verdict()
	return !r.accepted() && (v == Fail || v == Warn || v == Inconclusive)
}

// tells tells whether a result is found as the cause would have it.
func (c cause) tells(r Result) bool {
	return r.asks() && (c.unjudged || r.verdict() != Inconclusive) && (!c.only || c.watches(r)) && c.shape.MatchString(r.Reason)
}

// watches tells whether the result is of a suite in which the cause must show.
func (c cause) watches(r Result) bool {
	suite, _ := splitID(r.ID)
	return len(c.in) == 0 || slices.Contains(c.in, suite)
}

// prevails tells whether enough of what it would show in is found as the cause would have it.
func (c cause) prevails(results []Result) bool {
	so, all := 0, 0
	for _, r := range results {
		if r.Verdict == Skip || !c.unjudged && r.verdict() == Inconclusive || !c.watches(r) {
			continue
		}
		all++
		if c.tells(r) {
			so++
		}
	}
	return so > 0 && float64(so) >= shareOfCause*float64(all)
}

// title says how much a suspicion may be behind.
func (s suspicion) title() string {
	much := fmt.Sprintf("%d of %d findings", len(s.results), s.of)
	if len(s.results) == s.of {
		much = fmt.Sprintf("all %d findings", s.of)
	}
	return fmt.Sprintf("One cause may be behind %s, in %s", much, plural(s.suites, "suite"))
}

// sentence is the cause in words.
func (s suspicion) sentence() string { return "The " + s.role + " " + s.says + "." }

// like is one of the results, a failure where there is one.
func (s suspicion) like() Result {
	return slices.MinFunc(s.results, func(a, b Result) int { return cmp.Compare(rank(a), rank(b)) })
}

func rank(r Result) int { return slices.Index([]Verdict{Fail, Warn, Inconclusive}, r.verdict()) }
