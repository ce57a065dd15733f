package streams_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/stream"
	"github.com/avow-consent/avow/scripts/local/edge"
	"github.com/avow-consent/avow/scripts/local/streams"
)

// TestRun_emulator follows the mapping that the template declares on the emulator's stream, with a
// function that uses internal/stream: puts, an update and a delete arrive once and in order, a poison
// record is reported to the queue and does not stop the others, and a new run starts at the beginning.
func TestRun_emulator(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	if len(env.Stack.Sources) == 0 {
		t.Fatal("the template declares no stream source")
	}
	source := env.Stack.Sources[0]
	db, queues := dynamodb.NewFromConfig(env.Config), sqs.NewFromConfig(env.Config)
	arn, err := streams.LatestStream(t.Context(), db, source.Table)
	if err != nil {
		t.Fatal(err)
	}
	queue, err := queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &source.OnFailureQueue})
	if err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	var seen []string
	poisoned := 0
	handler := stream.Handler(stream.Each(func(ctx context.Context, r events.DynamoDBEventRecord) error {
		mu.Lock()
		defer mu.Unlock()
		id := r.Change.Keys["id"].String()
		if id == "poison" {
			poisoned++
			return errors.New("about ada@example.com")
		}
		if lc, ok := lambdacontext.FromContext(ctx); !ok || lc.InvokedFunctionArn != edge.ARN(source.Function) {
			return errors.New("no lambda context")
		}
		if age := time.Since(r.Change.ApproximateCreationDateTime.Time); age < -time.Minute || age > time.Minute {
			t.Errorf("created %v ago", age)
		}
		if r.EventSourceArn != arn || r.EventSource != "aws:dynamodb" || r.EventID == "" || r.Change.StreamViewType != "NEW_AND_OLD_IMAGES" {
			t.Errorf("record %+v", r)
		}
		value := func(image map[string]events.DynamoDBAttributeValue) string {
			if v, ok := image["n"]; ok {
				return v.Number()
			}
			return ""
		}
		seen = append(seen, fmt.Sprintf("%s %s %s→%s", r.EventName, id, value(r.Change.OldImage), value(r.Change.NewImage)))
		return nil
	}))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- streams.Run(ctx, streams.Config{
			Reader: dynamodbstreams.NewFromConfig(env.Config), StreamARN: arn, Function: source.Function, Handler: handler,
			StartingPosition: source.StartingPosition, BatchSize: 3, ReportBatchItemFailures: source.ReportBatchFailures,
			BisectBatchOnFunctionError: source.Bisect, MaximumRetryAttempts: 1,
			Sender: queues, QueueURL: *queue.QueueUrl, Log: slog.New(slog.DiscardHandler),
		})
	}()

	key := func(id string) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{"subject": &types.AttributeValueMemberS{Value: "s"}, "id": &types.AttributeValueMemberS{Value: id}}
	}
	put := func(id, n string) {
		item := key(id)
		item["n"] = &types.AttributeValueMemberN{Value: n}
		if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &source.Table, Item: item}); err != nil {
			t.Fatal(err)
		}
	}
	put("a", "1")
	put("poison", "1")
	put("b", "1")
	put("a", "2")
	if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &source.Table, Key: key("b")}); err != nil {
		t.Fatal(err)
	}
	var want []string
	want = append(want, "INSERT a →1", "INSERT b →1", "MODIFY a 1→2", "REMOVE b 1→")
	for i := range 20 {
		put(fmt.Sprint("c", i), "1")
		want = append(want, fmt.Sprintf("INSERT c%d →1", i))
	}
	// firsts drops what came again because it followed the poison record.
	firsts := func() (list []string) {
		mu.Lock()
		defer mu.Unlock()
		known := map[string]bool{}
		for _, s := range seen {
			if !known[s] {
				list = append(list, s)
			}
			known[s] = true
		}
		return list
	}
	for deadline := time.Now().Add(30 * time.Second); len(firsts()) < len(want) && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	if diff := cmp.Diff(want, firsts()); diff != "" {
		t.Error(diff)
	}
	if poisoned != 2 {
		t.Errorf("poison tried %d times", poisoned)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}

	out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 2})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%v, messages %v", err, out)
	}
	body := aws.ToString(out.Messages[0].Body)
	var message struct {
		RequestContext struct{ Condition, FunctionARN string }
		Batch          struct {
			StreamARN string
			BatchSize int
		} `json:"DDBStreamBatchInfo"`
	}
	if err := json.Unmarshal([]byte(body), &message); err != nil {
		t.Fatal(err)
	}
	if message.RequestContext.Condition != "RetryAttemptsExhausted" || message.Batch.StreamARN != arn || message.Batch.BatchSize < 1 || strings.Contains(body, "ada@") {
		t.Errorf("message %s", body)
	}

	again := make(chan int, 1000)
	ctx, stop = context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	go func() {
		for n := range again {
			if n >= len(want)+1 {
				stop()
			}
		}
	}()
	count := 0
	if err := streams.Run(ctx, streams.Config{
		Reader: dynamodbstreams.NewFromConfig(env.Config), StreamARN: arn, Log: slog.New(slog.DiscardHandler),
		Handler: stream.Handler(func(_ context.Context, records []events.DynamoDBEventRecord) map[int]error {
			count += len(records)
			again <- count
			return nil
		}),
	}); err != nil || count != len(want)+1 {
		t.Errorf("second run: %v, %d records", err, count)
	}
	close(again)
}

func TestLatestStream_none(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	db := dynamodb.NewFromConfig(env.Config)
	for _, table := range env.Stack.Tables {
		if table.StreamSpecification.StreamViewType != "" {
			continue
		}
		if _, err := streams.LatestStream(t.Context(), db, table.Name); err == nil {
			t.Errorf("%s: no error", table.Name)
		}
	}
	if _, err := streams.LatestStream(t.Context(), db, "nothing"); err == nil {
		t.Error("no error for a table that is not there")
	}
}
