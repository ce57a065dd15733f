package dynamo

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// item is a row, or the values of an expression.
type item map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// millis keeps a time as unix milliseconds.
func millis(t time.Time) types.AttributeValue { return number(t.UnixMilli()) }

func texts(list []string) types.AttributeValue {
	values := make([]types.AttributeValue, len(list))
	for i, s := range list {
		values[i] = text(s)
	}
	return &types.AttributeValueMemberL{Value: values}
}

func (r item) setText(name, value string) {
	if value != "" {
		r[name] = text(value)
	}
}

func (r item) setTime(name string, t *time.Time) {
	if t != nil {
		r[name] = millis(*t)
	}
}

func (r item) setList(name string, list []string) {
	if len(list) > 0 {
		r[name] = texts(list)
	}
}

// setJSON keeps a value as JSON text, without the escapes that HTML would need.
func (r item) setJSON(name string, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("dynamo: encoding " + name) // only our own types come here
	}
	r[name] = text(string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))))
}

func getText(r item, name string) string {
	if v, ok := r[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func getNumber(r item, name string) int64 {
	if v, ok := r[name].(*types.AttributeValueMemberN); ok {
		n, _ := strconv.ParseInt(v.Value, 10, 64)
		return n
	}
	return 0
}

func getBool(r item, name string) bool {
	v, ok := r[name].(*types.AttributeValueMemberBOOL)
	return ok && v.Value
}

func getTime(r item, name string) time.Time { return fromMillis(getNumber(r, name)) }

func fromMillis(n int64) time.Time { return time.UnixMilli(n).UTC() }

func getTimePtr(r item, name string) *time.Time {
	if _, ok := r[name]; !ok {
		return nil
	}
	t := getTime(r, name)
	return &t
}

func getList(r item, name string) []string {
	switch v := r[name].(type) {
	case *types.AttributeValueMemberL:
		list := make([]string, 0, len(v.Value))
		for _, e := range v.Value {
			if s, ok := e.(*types.AttributeValueMemberS); ok {
				list = append(list, s.Value)
			}
		}
		return list
	case *types.AttributeValueMemberSS:
		return v.Value
	}
	return nil
}

func getJSON(r item, name string, v any) error {
	s := getText(r, name)
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), v)
}

// itemSize is the size of a row as DynamoDB counts it for limits and capacity:
// names and values in bytes; a number about one byte for two digits and one
// more; a list three and one for each element.
func itemSize(r item) int {
	n := 0
	for name, v := range r {
		n += len(name) + valueSize(v)
	}
	return n
}

func valueSize(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return len(v.Value)/2 + 2
	case *types.AttributeValueMemberL:
		n := 3
		for _, e := range v.Value {
			n += 1 + valueSize(e)
		}
		return n
	case *types.AttributeValueMemberM:
		return 3 + len(v.Value) + itemSize(v.Value)
	case *types.AttributeValueMemberSS:
		n := 0
		for _, s := range v.Value {
			n += len(s)
		}
		return n
	default:
		return 1
	}
}

// instant keeps a time to the nanosecond, as text.
func instant(t time.Time) types.AttributeValue { return text(t.UTC().Format(time.RFC3339Nano)) }

// getInstant reads what instant keeps; the zero time when there is none.
func getInstant(r item, name string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, getText(r, name))
	return t
}
