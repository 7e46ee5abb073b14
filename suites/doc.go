// Package suites judges: it selects cases of the catalogue or of the user's own
// files, runs them concurrently against a subject, and hands over what was found.
//
//	Settings  what a run is told: by flags, environment or hookanvil.yaml
//	Config    what that amounts to: a subject, cases, limits (Settings.Plan)
//	Session   judges the cases, several at a time (Start, Await, Wait)
//	RunSpecs  the same as Ginkgo specs
//
// A Go program judges its own http.Handler by JudgeHandler, in a test, or by
// Describe, in its own Ginkgo suite. RunMatrix proves the catalogue itself.
package suites
