package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/local/demo"
	"github.com/avow-consent/avow/scripts/local/edge"
	"github.com/avow-consent/avow/scripts/local/streams"
)

// draining is how long requests may take that were accepted before the stop.
const draining = 20 * time.Second

// signedIn is how long the demo's page may show somebody their preferences.
const signedIn = time.Hour

// services are what runs between start and stop.
type services struct {
	servers  []*http.Server
	pollers  sync.WaitGroup
	stopPoll context.CancelFunc
	// clocks call functions on schedule.
	clocks    sync.WaitGroup
	stopClock context.CancelFunc
	failed    chan error // takes what ended that must not end
}

// serve feeds the streams to their functions, calls functions on schedule and
// opens the API and, each on a port of its own and so with an origin of its own,
// the demo page, the letters and the fakes.
func (o *Options) serve(ctx context.Context, cfg aws.Config, d *doors, resources *cfn.Stack, functions map[string]lambda.Handler, letters http.Handler, info Info) (*services, error) {
	api, err := edge.New(gateway(resources, functions))
	if err != nil {
		return nil, fmt.Errorf("template.yaml: %w", err)
	}
	s := &services{failed: make(chan error, 3+len(d.fakes)+len(resources.Sources))}
	if err := s.poll(ctx, cfg, resources, functions); err != nil {
		s.stop()
		return nil, err
	}
	for name, fake := range o.Fakes {
		s.serve(d.fakes[name], fake)
	}
	s.serve(d.api, api)
	s.serve(d.demo, demo.Handler(demo.Config{API: info.API, PublicKey: info.PublicKey, SubjectToken: func(subjectID string) string {
		return site.SignToken(info.TokenKey.ID, []byte(info.TokenKey.Secret), info.Site, subjectID, time.Now().Add(signedIn))
	}}))
	s.serve(d.mail, letters)
	o.schedule(ctx, s, resources, functions)
	return s, nil
}

// poll follows the streams until stop: what the last requests have written is
// read too.
func (s *services) poll(ctx context.Context, cfg aws.Config, resources *cfn.Stack, functions map[string]lambda.Handler) error {
	db, queues := dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
	polling, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopPoll = stop
	s.stopClock = func() {}
	for _, source := range resources.Sources {
		arn, err := streams.LatestStream(ctx, db, source.Table)
		if err != nil {
			return err
		}
		c := streams.Config{
			Reader: dynamodbstreams.NewFromConfig(cfg), StreamARN: arn,
			Function: source.Function, Handler: functions[source.Function], Timeout: timeouts(resources)[source.Function],
			StartingPosition: source.StartingPosition, BatchSize: source.BatchSize,
			ReportBatchItemFailures: source.ReportBatchFailures, BisectBatchOnFunctionError: source.Bisect,
			MaximumRetryAttempts: source.MaximumRetries, MaximumRecordAge: time.Duration(max(0, source.MaximumAge)) * time.Second,
		}
		if source.OnFailureQueue != "" {
			queue, err := queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &source.OnFailureQueue})
			if err != nil {
				return fmt.Errorf("finding the queue of %s: %w", source.ID, err)
			}
			c.Sender, c.QueueURL = queues, *queue.QueueUrl
		}
		s.pollers.Go(func() {
			if err := streams.Run(polling, c); err != nil {
				s.failed <- fmt.Errorf("feeding %s: %w", source.Function, err)
			}
		})
	}
	return nil
}

func (s *services) serve(l net.Listener, h http.Handler) {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	s.servers = append(s.servers, server)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serving %s: %w", l.Addr(), err)
		}
	}()
}

// stop accepts nothing more and waits for what is under way.
func (s *services) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), draining)
	defer cancel()
	s.stopClock()
	s.clocks.Wait()
	for _, server := range s.servers {
		if err := server.Shutdown(ctx); err != nil {
			server.Close()
		}
	}
	s.stopPoll()
	s.pollers.Wait()
}

// gateway is the API as the template declares it.
func gateway(resources *cfn.Stack, functions map[string]lambda.Handler) edge.Config {
	c := edge.Config{Functions: functions, Timeouts: timeouts(resources), Throttles: map[string]edge.Throttle{}}
	for _, r := range resources.API.Routes {
		c.Routes = append(c.Routes, edge.Route(r))
	}
	for key, t := range resources.API.Throttles {
		c.Throttles[key] = edge.Throttle(t)
	}
	if cors := resources.API.CORS; cors != nil {
		c.CORS = &edge.CORS{
			AllowOrigins: cors.AllowOrigins, AllowMethods: cors.AllowMethods, AllowHeaders: cors.AllowHeaders,
			ExposeHeaders: cors.ExposeHeaders, MaxAge: int(cors.MaxAge), AllowCredentials: bool(cors.AllowCredentials),
		}
	}
	return c
}

func timeouts(resources *cfn.Stack) map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, f := range resources.Functions {
		all[f.Name] = time.Duration(f.Timeout) * time.Second
	}
	return all
}

// logTo sends the functions' lines to a file: the terminal is for people.
func logTo(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(f, nil)))
	return f, nil
}
