package scenarios

import "github.com/hookanvil/hookanvil/scenarios/strictyaml"

// elsewhere says where that is said which a scenario file cannot say: it is data,
// and whoever runs it decides on what, with which secrets, and where results go.
var elsewhere = map[string]string{
	"target": target, "url": target, "host": target, "port": target, "scheme": target, "address": target,
	"endpoint": "a scenario file cannot name a target; use --target for a receiver; where a sender delivers to stands under endpoints",
	"secret":   secret, "secrets": secret, "token": secret, "password": secret,
	"exec": command, "command": command, "cmd": command, "run": command, "shell": command, "script": command, "env": command, "trigger": command,
	"include": include, "import": include, "extends": include,
	"file": file, "body_file": file, "body-file": file, "bodyFile": file,
	"out": output, "output": output, "report": output, "reports": output, "observe": output,
	"profile": "a scenario file is written for every profile; use --profile, and needs: for what a profile must offer",
	"probe":   "a scenario file cannot name a probe; use --probe-url, --probe-exec or --probe-file",
	"rate":    inLoad, "stages": inLoad, "mix": inLoad, "duration": inLoad,
	"thresholds": "conditions on what is measured stand under expect", "threshold": "conditions on what is measured stand under expect",
	"schema": version, "version": version,
	"register": hook("register"), "remove": hook("remove"), "rotate": hook("rotate"), "restart": hook("restart"), "move": hook("move"),
	"listen": listening, "public-url": listening,
	"schedule": "a scenario file is written for every schedule; the profile declares it, or --retry-schedule",
	"deadline": "a scenario file is written for every sender; the profile declares its deadline, or --deadline",
}

const (
	target    = "a scenario file cannot name a target; use --target for a receiver, --register for a sender"
	secret    = "a scenario file cannot hold a secret; use --secret env:NAME or --secret file:PATH"
	command   = "a scenario file cannot run a command; probes and triggers come from the command line: --probe-exec, --trigger"
	include   = "a scenario file cannot include another; name both on the command line"
	file      = "a scenario file cannot read another file; write the text under body, or name a payload"
	output    = "a scenario file cannot name an output; use --report FORMAT=PATH"
	version   = "a scenario file has no version; remove the key"
	firing    = "a scenario file cannot say how; use --trigger. Here stands what: once, or a mapping"
	listening = "a scenario file cannot say where the harness listens; use --listen and --public-url"
)

const inLoad = "traffic at a rate stands in a suite called load/NAME, under load: {stages: [{rate: 100%, for: 100%}]}"

// hook is a hint for what a user lets the harness do to the sender.
func hook(name string) string {
	return "a scenario file cannot say how; use --" + name
}

// inTrigger, inEndpoint and inAnswer are what else is written by mistake there.
var (
	inTrigger = map[string]string{
		"exec": firing, "command": firing, "cmd": firing, "run": firing, "shell": firing, "script": firing, "env": firing,
		"url": firing, "target": firing, "method": firing, "post": firing, "get": firing, "request": firing, "trigger": firing, "http": firing,
		"endpoint": "the endpoint that an event is for stands under to",
		"rotate":   doing("rotate"), "restart": doing("restart"), "remove": doing("remove"), "move": doing("move"),
		"register": "every endpoint but a canary is registered before the first event; a scenario file cannot say how, use --register",
		"headers":  "what the harness receives is the sender's to write; custom headers are asked for under endpoints",
		"body":     "what the harness receives is the sender's to write; name data under payload",
	}
	inEndpoint = map[string]string{
		"url": form, "host": form, "port": form, "scheme": form, "target": form,
		"trigger": "what is done to the sender stands in the case, under trigger",
	}
	inAnswer = map[string]string{
		"url": "a scenario cannot write a URL: name an endpoint, as in headers: {Location: \"{canary}\"}", "location": location, "redirect": location,
		"retry-after": "write headers: {Retry-After: \"2\"}",
		"reason":      "the phrase behind a status says nothing; remove it, or choose a way of answering such as no-reason",
		"after":       "an answer is held back by delay",
	}
)

const (
	form     = "a scenario cannot write a URL: choose the form of the address, as in address: decimal, with path and query"
	location = "write headers: {Location: \"{canary}\"}, with the name of an endpoint"
)

func doing(what string) string { return "write do: " + what }

// ExplainKey says where a target, a secret or a command is named instead.
func (*Suite) ExplainKey(key string) string { return elsewhere[key] }

// ExplainKey says where a target, a secret or a command is named instead.
func (*Case) ExplainKey(key string) string { return elsewhere[key] }

// ExplainKey says where a target, a secret or a command is named instead.
func (*Step) ExplainKey(key string) string { return elsewhere[key] }

// ExplainKey says how a sender is told to send.
func (*Trigger) ExplainKey(key string) string { return either(inTrigger, key) }

// ExplainKey says how an endpoint's address is chosen.
func (*Endpoint) ExplainKey(key string) string { return either(inEndpoint, key) }

// ExplainKey says where ways of answering stand.
func (*Answer) ExplainKey(key string) string {
	if hint := either(inAnswer, key); hint != "" || strictyaml.Suggest(key, answerKeys) != "" {
		return hint
	}
	return "an answer is a status, a way of answering, or a mapping of status, headers, body, delay, way and times; a way with an argument is written {way: {" + clipped(key) + ": 1}}"
}

var answerKeys = []string{"status", "headers", "body", "delay", "way", "times"}

// clipped is a key from the file as a hint may show it.
func clipped(key string) string {
	if !isName(key) {
		return "NAME"
	}
	return key
}

// inLoads and inStage are what else is written by mistake in a load.
var (
	inLoads = map[string]string{
		"rate": perStage, "for": perStage, "duration": perStage, "ramp-to": perStage, "spike": perStage,
		"abort-on": "it stands in the case, beside load", "expect": "it stands in the case, beside load",
		"thresholds": "conditions on what is measured stand in the case, under expect",
		"size":       "write sizes: 512, or a list of sizes",
		"body":       "name a payload, or write sizes", "headers": "use --header",
	}
	inStage = map[string]string{
		"duration": "write for: 10s", "ramp": "write ramp-to: 200%", "weight": "weights stand in the mix",
		"expect": "write stages.NAME.honest.accepted in the case's expect, with the name of the stage",
	}
)

const perStage = "rates and times stand in the stages: {rate: 100%, for: 50%}"

// ExplainKey says where rates and conditions stand.
func (*Attack) ExplainKey(key string) string { return either(inLoads, key) }

// ExplainKey says how a stage is written.
func (*Stage) ExplainKey(key string) string { return either(inStage, key) }

func either(first map[string]string, key string) string {
	if hint := first[key]; hint != "" {
		return hint
	}
	return elsewhere[key]
}
