import httpx2

FIELDS = "temperature_2m,precipitation,weather_code,wind_speed_10m"


async def test_a_city_is_found_whatever_its_accents(http: httpx2.AsyncClient) -> None:
    for name in ("São Paulo", "sao paulo", "SAO PAULO"):
        found = (await http.get("/v1/search", params={"name": name, "count": 1})).json()

        assert found["results"][0]["name"] == "São Paulo"
        assert found["results"][0]["country_code"] == "BR"


async def test_an_unknown_city_has_no_results_at_all(http: httpx2.AsyncClient) -> None:
    found = (await http.get("/v1/search", params={"name": "Atlantis"})).json()

    assert "results" not in found


async def test_a_forecast_has_the_shape_of_the_real_one(http: httpx2.AsyncClient) -> None:
    query = {"latitude": 59.91, "longitude": 10.75, "current": FIELDS}

    answer = (await http.get("/v1/forecast", params=query)).json()

    assert answer["current_units"]["temperature_2m"] == "°C"
    assert answer["current_units"]["wind_speed_10m"] == "km/h"
    assert set(answer["current"]) == {"time", "interval", *FIELDS.split(",")}
    assert answer == (await http.get("/v1/forecast", params=query)).json()


async def test_the_north_is_colder_than_the_tropics(http: httpx2.AsyncClient) -> None:
    temperatures: list[float] = []
    for latitude, longitude in ((69.65, 18.96), (1.29, 103.85)):
        query = {"latitude": latitude, "longitude": longitude, "current": "temperature_2m"}
        answer = (await http.get("/v1/forecast", params=query)).json()
        temperatures.append(answer["current"]["temperature_2m"])

    assert temperatures[0] < 8
    assert temperatures[1] > 20


async def test_days_come_as_columns(http: httpx2.AsyncClient) -> None:
    query = {
        "latitude": 59.91,
        "longitude": 10.75,
        "daily": "temperature_2m_max,precipitation_sum",
        "forecast_days": 3,
    }

    daily = (await http.get("/v1/forecast", params=query)).json()["daily"]

    assert [len(column) for column in daily.values()] == [3, 3, 3]


async def test_a_bad_request_has_a_reason(http: httpx2.AsyncClient) -> None:
    for query in (
        {},
        {"latitude": 99, "longitude": 0},
        {"latitude": 0, "longitude": 0, "current": "colour"},
    ):
        answer = await http.get("/v1/forecast", params=query)

        assert answer.status_code == 400
        assert answer.json()["error"] is True
        assert answer.json()["reason"]
