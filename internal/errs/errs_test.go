package errs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/errs"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	plain := errors.New("plain")
	for name, tt := range map[string]struct {
		err  error
		kind errs.Kind
	}{
		"none":               {nil, errs.Internal},
		"of no kind":         {plain, errs.Internal},
		"ours":               {errs.New(errs.NotFound, "x"), errs.NotFound},
		"wrapped":            {fmt.Errorf("putting: %w", errs.New(errs.Conflict, "x")), errs.Conflict},
		"with a cause":       {errs.Wrap(errs.Unavailable, plain, "x"), errs.Unavailable},
		"the outermost wins": {errs.Wrap(errs.Internal, errs.New(errs.NotFound, "x"), "y"), errs.Internal},
		"joined":             {errors.Join(plain, errs.New(errs.Clock, "x")), errs.Clock},
		"field":              {errs.InvalidField("a", "b"), errs.Invalid},
	} {
		if got := errs.KindOf(tt.err); got != tt.kind {
			t.Errorf("%s: %s, want %s", name, got, tt.kind)
		}
		if is := errs.Is(tt.err, tt.kind); is != (tt.err != nil) {
			t.Errorf("%s: Is %v", name, is)
		}
		if errs.Is(tt.err, errs.TooLarge) {
			t.Errorf("%s is too large", name)
		}
	}
}

func TestMessageOf(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"plain": errors.New("plain"), "x": errs.New(errs.NotFound, "x"), "y": fmt.Errorf("putting: %w", errs.Wrap(errs.Conflict, errs.New(errs.Invalid, "z"), "y")),
	} {
		if got := errs.MessageOf(err); got != want {
			t.Errorf("%v: %q", err, got)
		}
	}
}

// The text of an error says nothing of its cause, which may quote a person.
func TestError_hidesCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("item of ines@example.test")
	err := errs.Wrap(errs.Unavailable, cause, "dynamodb %s: no answer", "PutItem")
	if got := err.Error(); got != "unavailable: dynamodb PutItem: no answer" {
		t.Errorf("%q", got)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	for _, verb := range []string{"%v", "%s", "%q", "%+v"} {
		if text := fmt.Sprintf(verb, err); strings.Contains(text, "ines") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func TestInvalidFields(t *testing.T) {
	t.Parallel()
	err := errs.InvalidFields(errs.Field{Field: "a", Message: "b"}, errs.Field{Field: "c", Message: "d"})
	if diff := cmp.Diff([]errs.Field{{Field: "a", Message: "b"}, {Field: "c", Message: "d"}}, err.Fields); diff != "" {
		t.Error(diff)
	}
	if one := errs.InvalidField("a", "at most %d", 3); one.Fields[0].Message != "at most 3" || one.Message == "" {
		t.Errorf("%+v", one)
	}
}
