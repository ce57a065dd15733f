package dynamo

import (
	"reflect"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
)

// A row of a request keeps what conditions and indexes need in attributes of
// their own and the rest of its value as JSON text in the attribute "body".
// Renaming a field of such a value is a change of the stored form.

var errUnreadableRequest = errs.New(errs.Internal, "the request holds a row that this version cannot read")

// setBody keeps a struct as JSON text. Fields that are zero are left out: rows
// are paid for by the kilobyte. Unlike encoding/json it reveals what masks
// itself, so no value with personal data may come here that Forget does not
// delete (TestBody_personal names the types that may).
func (r item) setBody(v any) { r.setJSON("body", plain(reflect.ValueOf(v))) }

// getBody reads what setBody keeps, into a pointer.
func getBody(r item, v any) error {
	if err := getJSON(r, "body", v); err != nil {
		return errUnreadableRequest // the cause would quote the text
	}
	return nil
}

// plain is a value as encoding/json writes it in full.
func plain(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case redact.String:
		return x.Reveal()
	case time.Time:
		return x.UTC()
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Struct:
		fields := map[string]any{}
		plainFields(v, fields)
		return fields
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	case reflect.Map:
		fields := make(map[string]any, v.Len())
		for key, value := range v.Seq2() {
			fields[key.String()] = plain(value)
		}
		return fields
	}
	return v.Interface()
}

// plainFields adds the fields of a struct that are not zero, under the names
// that encoding/json gives them. Those of an embedded struct are its own.
func plainFields(v reflect.Value, fields map[string]any) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		if t, ok := value.Interface().(time.Time); value.IsZero() || ok && t.IsZero() {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "" && field.Anonymous:
			plainFields(value, fields)
			continue
		case name == "":
			name = field.Name
		}
		fields[name] = plain(value)
	}
}
