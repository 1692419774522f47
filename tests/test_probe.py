import time, asyncio
from durable_agents.models.conversation import *
from durable_agents.models.react import *
async def test_probe(client, worker, simulator):
    for task in ["What is 12.5 % of 2480, and what is the weather in Oslo?", "What is the weather in Nowherexyz?", "Please simulate 7 rounds", "File a ticket: my monitor is broken, high priority",
       "Fetch %s/pages/hello.txt and tell me" % simulator.url, "What is 2+3, 4*5, and 7-1?"]:
        t=time.time()
        r = await client.execute_workflow("ReActWorkflow", ReActInput(task=task), id="p"+str(t), task_queue="durable-agents", result_type=ReActResult)
        print(time.time()-t, r)
    r = await client.execute_workflow("ReActWorkflow", ReActInput(task="My account is A-1001. Please file a ticket: my monitor is broken", agent="support"), id="p"+str(t)+"s", task_queue="durable-agents", result_type=ReActResult)
    print(r)
async def test_ts(time_skipping):
    from temporalio.worker import Worker
    from workflows.react import ReActWorkflow
    from temporalio import activity
    @activity.defn(name="create_thread")
    async def ct(r: OpenThreadInput) -> ThreadHead: return ThreadHead(thread=1, head=1)
    @activity.defn(name="think")
    async def th(r: ThinkInput) -> Thought:
        await asyncio.sleep(100)
        raise 1
    c = time_skipping.client
    async with Worker(c, task_queue="durable-agents", workflows=[ReActWorkflow], activities=[ct]):
        t=time.time()
        try:
            r = await c.execute_workflow("ReActWorkflow", ReActInput(task="x"), id="p", task_queue="durable-agents", result_type=ReActResult)
        except Exception as e: print(time.time()-t, repr(e), repr(e.cause))
    async with Worker(c, task_queue="durable-agents", workflows=[ReActWorkflow], activities=[ct]), Worker(c, task_queue="durable-agents-llm", activities=[th]):
        t=time.time()
        h = await c.start_workflow("ReActWorkflow", ReActInput(task="x", deadline_s=1000), id="p2", task_queue="durable-agents", result_type=ReActResult)
        await asyncio.sleep(1)
        print("ff", await asyncio.wait_for(time_skipping.fast_forward(h, 2000), 10))
        try:
            await asyncio.wait_for(h.result(), 10)
        except BaseException as e: print(time.time()-t, repr(e), repr(e.__cause__))
        await h.terminate()
