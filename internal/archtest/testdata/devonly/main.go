// Command devonly links what no function may carry (TestLinked_catches).
package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/scripts/local/cfn"
)

func main() {
	println(cmp.Equal(cfn.Region, ""), testing.Testing())
}
