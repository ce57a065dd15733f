package sample_test

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/scripts/sam/sample"
)

var update = flag.Bool("update", false, "write the stream events of events/project anew")

// subject is the partition of a subject of the sample's site.
func subject(t *testing.T, id string) string {
	t.Helper()
	hasher, err := pseudonym.New([]byte(sample.Secret))
	if err != nil {
		t.Fatal(err)
	}
	return hasher.Subject(sample.Site, id)
}

// row is the sample consent as it stands in the ledger, in the JSON of streams.
func row(t *testing.T, env *awstest.Env) map[string]any {
	t.Helper()
	return image(t, env, subject(t, sample.SubjectID), sample.ConsentID)
}

func image(t *testing.T, env *awstest.Env, subject, id string) map[string]any {
	t.Helper()
	out, err := dynamodb.NewFromConfig(env.Config).GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String(env.Getenv("EVENTS_TABLE")), ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{
			"subject": &types.AttributeValueMemberS{Value: subject}, "id": &types.AttributeValueMemberS{Value: id},
		},
	})
	if err != nil || out.Item == nil {
		t.Fatalf("reading the sample consent: %v, %v", out, err)
	}
	row := map[string]any{}
	for name, v := range out.Item {
		row[name] = wire(t, v)
	}
	return row
}

func wire(t *testing.T, v types.AttributeValue) map[string]any {
	t.Helper()
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return map[string]any{"S": v.Value}
	case *types.AttributeValueMemberN:
		return map[string]any{"N": v.Value}
	case *types.AttributeValueMemberB:
		return map[string]any{"B": base64.StdEncoding.EncodeToString(v.Value)}
	case *types.AttributeValueMemberBOOL:
		return map[string]any{"BOOL": v.Value}
	case *types.AttributeValueMemberL:
		list := []any{}
		for _, e := range v.Value {
			list = append(list, wire(t, e))
		}
		return map[string]any{"L": list}
	}
	t.Fatalf("an attribute of type %T", v)
	return nil
}

func TestToken(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../events/collect/consent_token.json")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), sample.Token()) {
		t.Errorf("events/collect/consent_token.json does not carry the token %s", sample.Token())
	}
}

func TestSeed_repeated(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	var rows []map[string]any
	for range 2 {
		if err := sample.Seed(t.Context(), env.Config, env.Getenv); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row(t, env))
	}
	if diff := cmp.Diff(rows[0], rows[1]); diff != "" {
		t.Errorf("the second time changed the consent (-first +second):\n%s", diff)
	}
}

// record is a stream record of a row's life.
func record(n int, name string, keys, old, image map[string]any) map[string]any {
	change := map[string]any{
		"ApproximateCreationDateTime": 1770113730, "Keys": keys, "SequenceNumber": fmt.Sprintf("1000000000000000%05d", n),
		"SizeBytes": 700, "StreamViewType": "NEW_AND_OLD_IMAGES",
	}
	if old != nil {
		change["OldImage"] = old
	}
	if image != nil {
		change["NewImage"] = image
	}
	return map[string]any{
		"eventID": fmt.Sprintf("%032d", n), "eventName": name, "eventVersion": "1.1", "eventSource": "aws:dynamodb",
		"awsRegion": "eu-central-1", "dynamodb": change,
		"eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/avow-EventsTable/stream/2026-02-03T10:00:00.000",
	}
}

// TestStreamEvents keeps the events of project equal to what the ledger really
// holds, so that they cannot fall behind the code.
func TestStreamEvents(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	if err := sample.Seed(t.Context(), env.Config, env.Getenv); err != nil {
		t.Fatal(err)
	}
	stored := row(t, env)
	text := func(s string) map[string]any { return map[string]any{"S": s} }
	keys := map[string]any{"subject": text(subject(t, sample.SubjectID)), "id": text(sample.ConsentID)}
	forged := map[string]any{}
	for name, v := range stored {
		forged[name] = v
	}
	forged["preferences"] = text(`[{"k":"newsletter","v":true},{"k":"profiling","v":true}]`)
	tombstone := map[string]any{"subject": keys["subject"], "id": keys["id"], "site": text(sample.Site), "erased_at": map[string]any{"N": "1770200130120"}}
	poison := map[string]any{"subject": keys["subject"], "id": text("~poison"), "kind": text("unheard of")}
	inserted := record(1, "INSERT", keys, nil, stored)
	// A subject that events/api creates and changes: its ids are not known here.
	stated := func(n int, id string) map[string]any {
		keys := map[string]any{"subject": text(subject(t, "cust-886")), "id": text("~subject#" + id)}
		return record(n, "INSERT", keys, nil, map[string]any{"subject": keys["subject"], "id": keys["id"], "kind": text("subject"), "site": text(sample.Site)})
	}

	hasher, err := pseudonym.New([]byte(sample.Secret))
	if err != nil {
		t.Fatal(err)
	}
	back := hasher.Subject(sample.LateSite, "cust-890")
	late := record(8, "INSERT", map[string]any{"subject": text(back), "id": text(sample.LateID)}, nil, image(t, env, back, sample.LateID))
	for name, records := range map[string][]any{
		"consent":          {inserted},
		"consent_repeated": {inserted, inserted},
		"consent_erased":   {record(2, "MODIFY", keys, stored, tombstone)},
		"consent_forged":   {record(3, "MODIFY", keys, stored, forged)},
		"consent_removed":  {record(4, "REMOVE", keys, stored, nil)},
		"consent_late":     {late},
		"poison":           {record(5, "INSERT", map[string]any{"id": text("~poison")}, nil, poison), inserted},
		"nothing":          {},
		"subject_created":  {stated(6, "019c2300-0648-7000-8000-000000000001")},
		"subject_changed":  {stated(7, "019c2300-0648-7000-8000-000000000002")},
	} {
		t.Run(name, func(t *testing.T) {
			var want, got any
			text, err := json.MarshalIndent(map[string]any{"Records": records}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("../../../events/project", name+".json")
			if *update {
				if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			written, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(written, &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("events/project/%s.json is not what the ledger holds (-want +got); go test ./scripts/sam/sample -update\n%s", name, diff)
			}
		})
	}
}
