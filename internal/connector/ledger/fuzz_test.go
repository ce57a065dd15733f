package ledger

import (
	"reflect"
	"testing"
)

// FuzzParseCursor: a handle is read as it was written, and anything else is
// refused or harmless.
func FuzzParseCursor(f *testing.F) {
	f.Add("")
	f.Add("{}")
	f.Add(`{"t":[{"p":"x","s":true}],"s":1,"i":0,"a":"b"}`)
	f.Add(`{"i":-1}`)
	f.Add(`{"t":[null],"s":9223372036854775807}`)
	f.Fuzz(func(t *testing.T, handle string) {
		c, err := parseCursor(handle)
		if err != nil {
			return
		}
		again, err := parseCursor(c.handle())
		if err != nil || c.Index < 0 || c.Stage < 0 {
			t.Fatalf("%+v: %v", c, err)
		}
		if again.handle() != c.handle() || !reflect.DeepEqual(again.whole(), c.whole()) {
			t.Errorf("%s became %s", c.handle(), again.handle())
		}
	})
}
