//go:build race

package strictyaml_test

func init() { raced = true }
